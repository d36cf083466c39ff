package woocommercetest_test

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// An exchange is a request to a real shop (WooCommerce 10.0.2) and what is
// compared of its answer.
type exchange struct {
	Stock   map[int]int // quantities of products before
	Request struct {
		Method, Scheme, Path, Auth, Raw string
		Headers                         map[string]string
		Body                            json.RawMessage
	}
	Response struct {
		Status  int
		Headers map[string]string
		Body    any      // has to be within the answer
		Rows    int      // in place of a body: how many rows there are
		Fields  []string // all the fields of the answer
	}
}

// TestRecorded replays what was recorded of a real shop.
func TestRecorded(t *testing.T) {
	files, err := filepath.Glob("testdata/[0-57-9]*.json")
	require.NoError(t, err)
	require.Greater(t, len(files), 40)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			var x exchange
			require.NoError(t, json.Unmarshal(raw, &x))
			s := recordedShop(woocommercetest.Config{ReadOnly: x.Request.Auth == "read-only key"}, x.Stock)
			req, err := http.NewRequestWithContext(t.Context(), x.Request.Method,
				x.Request.Scheme+"://"+host(x.Request.Scheme)+x.Request.Path,
				strings.NewReader(cmp.Or(string(x.Request.Body), x.Request.Raw)))
			require.NoError(t, err)
			for key, value := range x.Request.Headers {
				req.Header.Set(key, value)
			}
			switch x.Request.Auth {
			case "key", "read-only key":
				req.SetBasicAuth("ck_test", "cs_test")
			case "other key":
				req.SetBasicAuth("ck_other", "cs_other")
			case "wrong secret":
				req.SetBasicAuth("ck_test", "cs_other")
			}
			resp, err := s.Client().Do(req)
			require.NoError(t, err)
			got, err := io.ReadAll(resp.Body)
			require.NoError(t, err)

			require.Equal(t, x.Response.Status, resp.StatusCode, "%s", got)
			for key, want := range x.Response.Headers {
				assert.Equal(t, want, resp.Header.Get(key), key)
			}
			assert.Empty(t, resp.Header.Get("WWW-Authenticate"))
			var body any
			require.NoError(t, json.Unmarshal(got, &body))
			if x.Response.Rows > 0 {
				assert.Len(t, body, x.Response.Rows)
				return
			}
			if list, ok := body.([]any); ok { // what is of the same date comes in any order
				byID := func(a, b any) int {
					return cmp.Compare(a.(map[string]any)["id"].(float64), b.(map[string]any)["id"].(float64))
				}
				slices.SortFunc(list, byID)
				slices.SortFunc(x.Response.Body.([]any), byID)
			}
			exact := strings.Contains(x.Request.Path, "_fields=id") || strings.Contains(x.Request.Path, "_fields=stock")
			within(t, "", x.Response.Body, body, exact)
			if x.Response.Fields != nil {
				assert.Equal(t, x.Response.Fields, slices.Sorted(maps.Keys(body.(map[string]any))))
			}
		})
	}
}

// within checks that got has everything that want has, and no more if exact.
func within(t *testing.T, path string, want, got any, exact bool) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		require.True(t, ok, "%s: want an object, got %v", path, got)
		if exact || strings.HasSuffix(path, ".data") {
			assert.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(object)), path)
		}
		for key, value := range want {
			require.Contains(t, object, key, path)
			within(t, path+"."+key, value, object[key], exact)
		}
	case []any:
		list, ok := got.([]any)
		require.True(t, ok, "%s: want a list, got %v", path, got)
		require.Len(t, list, len(want), path)
		for i, value := range want {
			within(t, fmt.Sprintf("%s.%d", path, i), value, list[i], exact)
		}
	default:
		assert.Equal(t, want, got, path)
	}
}

func host(scheme string) string {
	return map[string]string{"http": "127.0.0.1:8081", "https": "127.0.0.1:8443"}[scheme]
}

// recordedShop has the catalogue that the exchanges were recorded with, of
// which 1667 products are listed.
func recordedShop(cfg woocommercetest.Config, stock map[int]int) *woocommercetest.Server {
	s := woocommercetest.New(cfg)
	add := func(id int, p woocommercetest.Product) {
		p.ID = id
		if p.Stock == woocommercetest.Managed {
			p.Quantity = 7
			if n, ok := stock[id]; ok {
				p.Quantity = n
			}
		}
		s.Add(p)
	}
	const variable, variation = "variable", "variation"
	for i := range 1500 {
		add(11+i, woocommercetest.Product{SKU: fmt.Sprintf("SIM-%05d", i+1)})
	}
	for i := range 100 {
		parent := 1511 + 6*i
		sku := fmt.Sprintf("VAR-%03d", i+1)
		add(parent, woocommercetest.Product{Type: variable, SKU: sku, Stock: woocommercetest.Unmanaged})
		for j, letter := range []string{"-A", "-B", "-C", "-D", "-E"} {
			add(parent+1+j, woocommercetest.Product{Type: variation, ParentID: parent, SKU: sku + letter})
		}
	}
	for i := range 20 {
		parent := 2111 + 4*i
		sku := fmt.Sprintf("PAR-%03d", i+1)
		add(parent, woocommercetest.Product{Type: variable, SKU: sku})
		for j, letter := range []string{"-A", "-B", "-C"} {
			add(parent+1+j, woocommercetest.Product{Type: variation, ParentID: parent, SKU: sku + letter, Stock: woocommercetest.ByParent})
		}
	}
	for i := range 10 {
		add(2191+i, woocommercetest.Product{SKU: fmt.Sprintf("NOM-%03d", i+1), Stock: woocommercetest.Unmanaged})
	}
	skus := map[int]string{2201: "A,B-1", 2202: "A", 2203: "B-1", 2204: "A B", 2206: "ÄÖ-日本-1", 2209: "R&D-1", 2210: "P+1",
		2211: "S/1", 2213: "Q'1", 2219: "123", 2221: "DRAFT-1", 2222: "PRIV-1", 2223: "PEND-1", 2224: "FUT-1",
		2225: "TRASH-1", 2226: "TRASH-1", 2234: "OCT%20X", 2235: "OCT%41X"}
	statuses := map[int]string{2221: "draft", 2222: "private", 2223: "pending", 2224: "future", 2225: "trash"}
	for id := 2201; id < 2236; id++ {
		add(id, woocommercetest.Product{SKU: skus[id], Status: statuses[id]})
	}
	add(2236, woocommercetest.Product{Type: variable, SKU: "NSV-1", Stock: woocommercetest.Unmanaged})
	add(2237, woocommercetest.Product{Type: variation, ParentID: 2236})
	add(2238, woocommercetest.Product{Type: variation, ParentID: 2236, Status: "private"})
	add(2239, woocommercetest.Product{Type: variable, SKU: "DPAR-1", Status: "draft", Stock: woocommercetest.Unmanaged})
	add(2240, woocommercetest.Product{Type: variation, ParentID: 2239, SKU: "DPAR-1-A"})
	add(2241, woocommercetest.Product{Type: variable, SKU: "DISV-1", Stock: woocommercetest.Unmanaged})
	add(2242, woocommercetest.Product{Type: variation, ParentID: 2241, SKU: "DISV-1-A", Status: "private"})
	add(2243, woocommercetest.Product{Type: variable, SKU: "TPAR-1", Status: "trash", Stock: woocommercetest.Unmanaged})
	add(2244, woocommercetest.Product{Type: variation, ParentID: 2243, SKU: "TPAR-1-A", Status: "trash"})
	return s
}

// TestOAuthVectors sends requests whose signature a real shop took.
func TestOAuthVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/66_oauth1_vectors.json")
	require.NoError(t, err)
	var vectors []struct {
		Method, Signature string
		URL               string `json:"url_without_query"`
		Query             string `json:"query_string"`
		Key               string `json:"consumer_key"`
		Secret            string `json:"consumer_secret"`
		Timestamp         int64
	}
	require.NoError(t, json.Unmarshal(raw, &vectors))
	require.Len(t, vectors, 3)
	for i, v := range vectors {
		for _, way := range []string{"query", "header", "altered"} {
			t.Run(strconv.Itoa(i)+" "+way, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(time.Until(time.Unix(v.Timestamp, 0)))
					s := woocommercetest.New(woocommercetest.Config{Key: v.Key, Secret: v.Secret})
					s.Add(woocommercetest.Product{SKU: "A B"})
					query, header, want := v.Query, "", http.StatusOK
					switch way {
					case "header":
						query, header = inHeader(query)
					case "altered":
						signature := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 20))
						query, _, _ = strings.Cut(query, "&oauth_signature=")
						query, want = query+"&oauth_signature="+signature, http.StatusUnauthorized
					}
					req, err := http.NewRequestWithContext(t.Context(), v.Method, v.URL+"?"+query, nil)
					require.NoError(t, err)
					if header != "" {
						req.Header.Set("Authorization", header)
					}
					resp, err := s.Client().Do(req)
					require.NoError(t, err)
					body, _ := io.ReadAll(resp.Body)
					assert.Equal(t, want, resp.StatusCode, "%s", body)
				})
			})
		}
	}
}

// inHeader moves the OAuth parameters of a query into an Authorization header.
func inHeader(query string) (rest, header string) {
	var kept, moved []string
	for pair := range strings.SplitSeq(query, "&") {
		if key, value, _ := strings.Cut(pair, "="); strings.HasPrefix(key, "oauth_") {
			moved = append(moved, fmt.Sprintf(`%s="%s"`, key, value))
		} else {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&"), "OAuth " + strings.Join(moved, ", ")
}
