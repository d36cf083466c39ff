package woocommercetest_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
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

func TestAuthentication(t *testing.T) {
	basic := func(key, secret string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(key, secret) }
	}
	anonymous := func(r *http.Request) { r.Header.Del("Authorization") }
	plain := func(r *http.Request) { r.URL.Scheme = "http" }
	query := func(key, secret string) func(*http.Request) {
		return func(r *http.Request) {
			q := r.URL.Query()
			q.Set("consumer_key", key)
			q.Set("consumer_secret", secret)
			r.URL.RawQuery = q.Encode()
		}
	}
	const view, edit, batch = "woocommerce_rest_cannot_view", "woocommerce_rest_cannot_edit", "woocommerce_rest_cannot_batch"
	const failed = "woocommerce_rest_authentication_error"
	read := func(path string) [3]string { return [3]string{"GET", path, ""} }
	put := [3]string{"PUT", "products/1", `{"stock_quantity":1}`}
	post := [3]string{"POST", "products/batch", `{"update":[{"id":1,"stock_quantity":1}]}`}
	for _, tt := range []struct {
		name     string
		readOnly bool
		request  [3]string
		change   []func(*http.Request)
		status   int
		code     string
	}{
		{"none", false, read("products/1"), []func(*http.Request){anonymous}, 401, view},
		{"none for a list", false, read("products"), []func(*http.Request){anonymous}, 401, view},
		{"none for a write", false, put, []func(*http.Request){anonymous}, 401, edit},
		{"none for a batch", false, post, []func(*http.Request){anonymous}, 401, batch},
		{"none for what does not exist", false, read("products/999"), []func(*http.Request){anonymous}, 404, "woocommerce_rest_product_invalid_id"},
		{"none for a write to what does not exist", false, [3]string{"PUT", "products/999", "{}"}, []func(*http.Request){anonymous}, 400, "woocommerce_rest_product_invalid_id"},
		{"none for what is invalid", false, read("products?per_page=101"), []func(*http.Request){anonymous}, 400, "rest_invalid_param"},
		{"Basic", false, put, nil, 200, ""},
		{"Basic over plain HTTP is ignored", false, read("products/1"), []func(*http.Request){plain}, 401, view},
		{"in the query", false, put, []func(*http.Request){anonymous, query("ck_test", "cs_test")}, 200, ""},
		{"in the query over plain HTTP", false, read("products/1"), []func(*http.Request){anonymous, query("ck_test", "cs_test"), plain}, 401, view},
		{"in the query wins over Basic", false, put, []func(*http.Request){query("ck_test", "cs_wrong")}, 401, failed},
		{"unknown key is as good as none", false, read("products/1"), []func(*http.Request){basic("ck_other", "cs_test")}, 401, view},
		{"wrong secret", false, read("products/1"), []func(*http.Request){basic("ck_test", "cs_wrong")}, 401, failed},
		{"read-only key reads", true, read("products/1"), nil, 200, ""},
		{"read-only key does not write: 401, not 403", true, put, nil, 401, failed},
		{"read-only key does not even probe", true, [3]string{"POST", "products/batch", "{}"}, nil, 401, failed},
		{"a probe for the right to write", false, [3]string{"POST", "products/batch", "{}"}, nil, 200, ""},
		{"keys are ignored without pretty permalinks", false, read("products/1"), []func(*http.Request){func(r *http.Request) {
			r.URL.Path, r.URL.RawQuery = "/", "rest_route=/wc/v3/products/1"
		}}, 401, view},
		{"with index.php", false, read("products/1"), []func(*http.Request){func(r *http.Request) {
			r.URL.Path = "/index.php" + r.URL.Path
		}}, 200, ""},
		{"in a subdirectory", false, read("products/1"), []func(*http.Request){func(r *http.Request) {
			r.URL.Path = "/shop" + r.URL.Path
		}}, 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := woocommercetest.New(woocommercetest.Config{ReadOnly: tt.readOnly})
			s.Add(woocommercetest.Product{ID: 1, SKU: "A", Quantity: 7})
			got := ask(t, s, tt.request[0], tt.request[1], tt.request[2], tt.change...)
			assert.Equal(t, tt.status, got.status, got.text)
			assert.Equal(t, tt.code, got.code())
			if tt.status != 200 {
				assert.Zero(t, s.Writes())
			}
		})
	}
}

func TestNoPageOfTheAPI(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	got := ask(t, s, "GET", "products", "", func(r *http.Request) { r.URL.Path = "/shop/" })
	assert.Equal(t, 404, got.status)
	assert.Equal(t, "text/html", got.header.Get("Content-Type"))
}

// sign adds the parameters of OAuth 1.0a to a request's query.
func sign(r *http.Request, method string, at time.Time, nonce, key, secret string) {
	q := r.URL.Query()
	for name, value := range map[string]string{"consumer_key": key, "timestamp": strconv.FormatInt(at.Unix(), 10),
		"nonce": nonce, "signature_method": method} {
		q.Set("oauth_"+name, value)
	}
	encode := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(q)) {
		pairs = append(pairs, encode(name)+"="+encode(q.Get(name)))
	}
	algorithm := map[string]func() hash.Hash{"HMAC-SHA1": sha1.New, "HMAC-SHA256": sha256.New}[method]
	if algorithm == nil {
		algorithm = sha1.New
	}
	mac := hmac.New(algorithm, []byte(secret+"&"))
	io.WriteString(mac, r.Method+"&"+encode(r.URL.Scheme+"://"+r.URL.Host+r.URL.Path)+"&"+encode(strings.Join(pairs, "&")))
	q.Set("oauth_signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	r.URL.RawQuery = q.Encode()
}

func TestOAuth(t *testing.T) {
	const failed = "woocommerce_rest_authentication_error"
	now := func() time.Time { return time.Now() }
	off := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }
	for _, tt := range []struct {
		name, scheme, method, key, secret string
		at                                func() time.Time
		after                             func(*http.Request)
		message                           string
	}{
		{"over HTTP", "http", "HMAC-SHA256", "ck_test", "cs_test", now, nil, ""},
		{"over HTTPS", "https", "HMAC-SHA1", "ck_test", "cs_test", now, nil, ""},
		{"clock 15 minutes off", "http", "HMAC-SHA1", "ck_test", "cs_test", off(-15 * time.Minute), nil, ""},
		{"clock slow", "http", "HMAC-SHA1", "ck_test", "cs_test", off(-15*time.Minute - time.Second), nil, "Invalid timestamp."},
		{"clock fast", "http", "HMAC-SHA1", "ck_test", "cs_test", off(15*time.Minute + time.Second), nil, "Invalid timestamp."},
		{"unknown key", "http", "HMAC-SHA1", "ck_other", "cs_test", now, nil, "Consumer key is invalid."},
		{"wrong secret", "http", "HMAC-SHA1", "ck_test", "cs_wrong", now, nil, "Invalid signature - provided signature does not match."},
		{"other method", "http", "PLAINTEXT", "ck_test", "cs_test", now, nil, "Invalid signature - signature method is invalid."},
		{"changed after it was signed", "http", "HMAC-SHA1", "ck_test", "cs_test", now, func(r *http.Request) {
			r.URL.RawQuery += "&per_page=100"
		}, "Invalid signature - provided signature does not match."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := woocommercetest.New(woocommercetest.Config{})
				got := ask(t, s, "GET", "products?sku=A+B,%C3%84", "", func(r *http.Request) {
					r.Header.Del("Authorization")
					r.URL.Scheme = tt.scheme
					sign(r, tt.method, tt.at(), "n1", tt.key, tt.secret)
					if tt.after != nil {
						tt.after(r)
					}
				})
				if tt.message == "" {
					assert.Equal(t, 200, got.status, got.text)
					return
				}
				assert.Equal(t, 401, got.status)
				assert.Equal(t, failed, got.code())
				assert.Equal(t, tt.message, got.field(t, "message"))
			})
		})
	}
}

func TestOAuthNonceIsUsedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := woocommercetest.New(woocommercetest.Config{})
		send := func(nonce string) answer {
			return ask(t, s, "GET", "products", "", func(r *http.Request) {
				r.Header.Del("Authorization")
				sign(r, "HMAC-SHA1", time.Now(), nonce, "ck_test", "cs_test")
			})
		}
		assert.Equal(t, 200, send("a").status)
		assert.Equal(t, 200, send("b").status)
		got := send("a")
		assert.Equal(t, 401, got.status)
		assert.Equal(t, "Invalid nonce - nonce has already been used.", got.field(t, "message"))
		time.Sleep(16 * time.Minute)
		assert.Equal(t, 200, send("a").status, "forgotten with its timestamp")
	})
}

func TestOAuthNeedsAllItsParameters(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	got := ask(t, s, "GET", "products?oauth_consumer_key=ck_test&oauth_nonce=a", "", func(r *http.Request) { r.Header.Del("Authorization") })
	assert.Equal(t, 401, got.status)
	assert.Equal(t, "woocommerce_rest_authentication_missing_parameter", got.code())
}

func TestOverASocketTLSCounts(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	for _, tt := range []struct {
		server *httptest.Server
		want   int
	}{{httptest.NewTLSServer(s), 200}, {httptest.NewServer(s), 401}} {
		defer tt.server.Close()
		req, err := http.NewRequestWithContext(t.Context(), "GET", tt.server.URL+"/wp-json/wc/v3/products", nil)
		require.NoError(t, err)
		req.SetBasicAuth("ck_test", "cs_test")
		resp, err := tt.server.Client().Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, tt.want, resp.StatusCode)
	}
}
