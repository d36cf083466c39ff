package stocksync

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/syncer"
)

// unsettable is a channel whose optional interfaces write.
type unsettable struct {
	*channeltest.Memory
	channel.Unsetter
	channel.Resumer
}

// A planner cannot write even if it is told to.
func TestAPlannerCannotWrite(t *testing.T) {
	erp := ecosiretest.New(ecosiretest.Config{})
	ids := erp.Add(ecosiretest.Product{SKU: "MUG-1", OnHand: 5})
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: erp.Client()})
	require.NoError(t, err)
	shelf := channeltest.NewMemory("shelf")
	shelf.Set("MUG-1", 1)
	services := &Services{Source: source, Targets: []syncer.Target{{Channel: unsettable{Memory: shelf}}}}
	planner, err := services.planner()
	require.NoError(t, err)
	_, err = planner.SyncProducts(t.Context(), ids...)
	assert.ErrorIs(t, err, ErrReadOnly)
	n, _ := shelf.Quantity("MUG-1")
	assert.Equal(t, 1, n)

	unsetter, ok := channel.As[channel.Unsetter](readOnly{unsettable{Memory: shelf}})
	require.True(t, ok)
	assert.ErrorIs(t, unsetter.Unset(t.Context(), nil), ErrReadOnly)
	resumer, ok := channel.As[channel.Resumer](readOnly{unsettable{Memory: shelf}})
	require.True(t, ok)
	_, again, err := resumer.Resume(t.Context())
	require.NoError(t, err)
	assert.Zero(t, again)
	_, ok = channel.As[channel.Reader](readOnly{shelf})
	assert.True(t, ok, "reading goes through")
}

// What only reads goes through; what writes is shadowed. A new optional
// interface of package channel has to be put on one of the two lists.
func TestEveryOptionalInterfaceReadsOrIsShadowed(t *testing.T) {
	files, err := filepath.Glob("channel/*.go")
	require.NoError(t, err)
	var all []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				if typ, ok := spec.(*ast.TypeSpec); ok && typ.Name.IsExported() {
					if _, ok := typ.Type.(*ast.InterfaceType); ok {
						all = append(all, typ.Name.Name)
					}
				}
			}
		}
	}
	sources := []string{"Source", "ChangeSource", "OrderSource", "Pacer", "Counter", "Finder", "Receiver", "Continuer"}
	read := []string{"Reader", "Sizer", "Preloader", "Lister", "ChangeLister", "Lagger", "Keeper", "Deductor", "Comparer", "Meter", "Limited", "Subscriber", "Clocked"}
	shadowed := []string{"Channel", "Unsetter", "Resumer"}
	assert.ElementsMatch(t, slices.Concat(sources, read, shadowed), all)
}
