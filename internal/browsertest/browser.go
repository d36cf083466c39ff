package browsertest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Chromium is the path of the browser, or "".
func Chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Axe is the source of axe-core, which .ci/browser fetches, or an error that
// says so.
func Axe() (string, error) {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache")
	}
	found, err := filepath.Glob(filepath.Join(cache, "stocksync", "axe-core-*", "package", "axe.min.js"))
	if err != nil || len(found) == 0 {
		return "", errors.Join(err, errors.New("axe-core is not there: bash .ci/browser fetches it"))
	}
	source, err := os.ReadFile(found[len(found)-1])
	return string(source), err
}

// A Browser is a headless Chromium with one page.
type Browser struct {
	ctx context.Context
	end func()
}

// Start starts a browser.
func Start(ctx context.Context) (*Browser, error) {
	path := Chromium()
	if path == "" {
		return nil, errors.New("there is no Chromium: bash .ci/browser installs it")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("font-render-hinting", "none"), chromedp.Flag("lang", "en"))
	allocated, endAllocator := chromedp.NewExecAllocator(ctx, options...)
	tab, endTab := chromedp.NewContext(allocated)
	b := &Browser{ctx: tab, end: func() { endTab(); endAllocator() }}
	// The browser lives as long as the context of the first action.
	if err := chromedp.Do(tab, chromedp.Navigate("about:blank")); err != nil {
		b.end()
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	return b, nil
}

// Close ends the browser.
func (b *Browser) Close() { b.end() }

// patience is how long an action may take.
const patience = 30 * time.Second

// Do does actions on the page.
func (b *Browser) Do(actions ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, actions...)
}

// Ask does an action that has an answer.
func Ask[T any](b *Browser, action chromedp.Action[T]) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, action)
}

// Console yields what the page writes to the console from now on, until the
// browser ends.
func (b *Browser) Console() iter.Seq2[chromedp.ConsoleMessage, error] { return chromedp.Console(b.ctx) }

// Look sets how large the window is and whether the user prefers dark colors.
func (b *Browser) Look(width, height int64, dark bool) error {
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}}}
	if dark {
		media.Features[0].Value = "dark"
	}
	return b.Do(chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, media)
		return err
	}))
}

// Scripts allows the page's scripts, or does not.
func (b *Browser) Scripts(on bool) error {
	return b.Do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	}))
}

// Picture is the page as a PNG: all of it, or what of it is in the window.
func (b *Browser) Picture(all bool) ([]byte, error) {
	if all {
		return Ask(b, chromedp.FullScreenshot(100))
	}
	return Ask(b, chromedp.CaptureScreenshot())
}
