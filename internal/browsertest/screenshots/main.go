// Screenshots makes the pictures of docs/images: the status page of a simulated
// merchant on a bad day. It needs Chromium, which bash .ci/browser installs.
//
//	cd internal/browsertest && go run ./screenshots ../../docs/images
package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/ecosire/stocksync/internal/browsertest"
	"github.com/ecosire/stocksync/syncer"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: screenshots FOLDER")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder string) error {
	w, err := browsertest.NewWorld(ctx, 64, false)
	if err != nil {
		return err
	}
	defer w.Close()
	b, err := browsertest.Start(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	shoot := func(name, address string, width int64, dark bool) error {
		height := int64(900)
		if width < 600 {
			height = 844
		}
		if err := b.Look(width, height, dark); err != nil {
			return err
		}
		if err := b.Do(chromedp.Navigate(address), chromedp.WaitVisible(chromedp.CSS("h1"))); err != nil {
			return err
		}
		picture, err := b.Picture(false)
		if err == nil {
			picture, err = smaller(picture)
		}
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644)
	}
	if err := w.Sell(ctx, 20*time.Second); err != nil {
		return err
	}
	if _, err := w.Syncer.Reconcile(ctx); err != nil {
		return err
	}
	if err := w.BadImport(ctx, 24); err != nil {
		return err
	}
	w.Break(true)
	if err := w.Syncer.Notify(ctx, w.IDs[40:60]...); err != nil {
		return err
	}
	if err := w.Until(ctx, 2*time.Minute, func(h syncer.Health) bool { return !h.Channels[1].DownSince.IsZero() }); err != nil {
		return err
	}
	time.Sleep(3 * time.Second) // what everybody is shown is as old as two
	held := w.URL + "held?channel=" + url.QueryEscape(browsertest.Shopify)
	for _, s := range []struct {
		name, address string
		width         int64
		dark          bool
	}{
		{"status", w.URL, 1280, false}, {"status-dark", w.URL, 1280, true}, {"status-phone", w.URL, 390, true}, {"held", held, 1280, false},
	} {
		if err := shoot(s.name, s.address, s.width, s.dark); err != nil {
			return err
		}
	}
	return nil
}

// smaller is the same picture with a palette, if it has few colors: the page has.
func smaller(data []byte) ([]byte, error) {
	src, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	count := make(map[color.RGBA]int)
	for y := range src.Bounds().Dy() {
		for x := range src.Bounds().Dx() {
			count[rgba(src.At(x, y))]++
		}
	}
	colors := make([]color.RGBA, 0, len(count))
	for c := range count {
		colors = append(colors, c)
	}
	slices.SortFunc(colors, func(a, b color.RGBA) int { return count[b] - count[a] })
	palette := make(color.Palette, min(256, len(colors)))
	for i := range palette {
		palette[i] = colors[i]
	}
	dst := image.NewPaletted(src.Bounds(), palette)
	near := make(map[color.RGBA]uint8)
	for y := range src.Bounds().Dy() {
		for x := range src.Bounds().Dx() {
			c := rgba(src.At(x, y))
			i, ok := near[c]
			if !ok {
				i = uint8(palette.Index(c))
				near[c] = i
			}
			dst.SetColorIndex(x, y, i)
		}
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, dst)
	return out.Bytes(), err
}

func rgba(c color.Color) color.RGBA { return color.RGBAModel.Convert(c).(color.RGBA) }
