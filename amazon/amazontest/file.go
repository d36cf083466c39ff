package amazontest

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A document is a file in the storage, which lies on another host.
type document struct {
	id          string
	path        string // escaped, as it is in the address
	contentType string
	signature   string
	until       time.Time // when the address that was given out last ends
	content     []byte
	uploaded    bool
	gzip        bool
}

// addressLife is how long an address of a file is good.
const addressLife = 5 * time.Minute

func (s *Server) newDocument(kind, contentType string) *document {
	d := &document{id: fmt.Sprintf("amzn1.tortuga.4.na.%s-%d", kind, s.serial()), contentType: contentType}
	d.path = storagePath + d.id
	s.documents[d.id] = d
	return d
}

// address gives out an address that whoever knows it may use.
func (d *document) address(base string) string {
	d.until, d.signature = time.Now().Add(addressLife), rand.Text()
	return base + d.path + "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=300&X-Amz-Signature=" + d.signature
}

// store makes a file of Amazon's own, compressed.
func (s *Server) store(kind string, content []byte) *document {
	d := s.newDocument(kind, "text/plain;charset="+s.cfg.Charset)
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(content)
	w.Close()
	d.content, d.uploaded, d.gzip = b.Bytes(), true, true
	return d
}

// serveFile is the storage. It knows nothing of tokens.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request, body []byte) {
	s.calls["file "+r.Method]++
	refuse := func(status int, code, text string) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>", code, text)
	}
	for name, values := range r.Header {
		for _, v := range values {
			if name == "Authorization" || name == "Cookie" || strings.HasPrefix(strings.ToLower(name), "x-amz-") ||
				strings.Contains(v, "Atza|") || strings.Contains(v, "Atzr|") {
				s.hurt("a credential was sent to the storage: %s", name)
				refuse(400, "InvalidArgument", "Only one auth mechanism allowed")
				return
			}
		}
	}
	var d *document
	for _, other := range s.documents {
		if other.path == r.URL.EscapedPath() {
			d = other
		}
	}
	query := r.URL.Query()
	switch {
	case d == nil || d.signature == "" || query.Get("X-Amz-Signature") != d.signature:
		refuse(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
	case !time.Now().Before(d.until):
		refuse(403, "AccessDenied", "Request has expired")
	case r.Method == http.MethodPut && r.Header.Get("Content-Type") != d.contentType:
		refuse(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
	case r.Method == http.MethodPut && r.ContentLength < 0:
		refuse(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	case r.Method == http.MethodPut:
		d.content, d.uploaded = bytes.Clone(body), true
	case r.Method == http.MethodGet && d.uploaded:
		w.Header().Set("Content-Type", d.contentType)
		w.Write(d.content)
	default:
		refuse(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	}
}

func (s *Server) createDocument(c call) (int, any) {
	var in struct {
		ContentType string `json:"contentType"`
	}
	if json.Unmarshal(c.body, &in) != nil || in.ContentType == "" {
		return 400, fail("InvalidInput", "Invalid 'contentType' provided.", "")
	}
	d := s.newDocument("feed", in.ContentType)
	return 201, map[string]any{"feedDocumentId": d.id, "url": d.address(c.base)}
}

func (s *Server) getFeedDocument(c call) (int, any) {
	return s.getDocument(c, "feedDocumentId")
}

func (s *Server) getReportDocument(c call) (int, any) {
	return s.getDocument(c, "reportDocumentId")
}

func (s *Server) getDocument(c call, name string) (int, any) {
	s.work()
	d := s.documents[c.params[name]]
	if d == nil || !d.gzip {
		return 404, fail("NotFound", "The document does not exist.", "")
	}
	return 200, map[string]any{name: d.id, "url": d.address(c.base), "compressionAlgorithm": "GZIP"}
}
