package show

import (
	"html/template"
	"io"
	"slices"

	"github.com/ecosire/stocksync/internal/text"
)

var page = template.Must(template.New("report").Funcs(template.FuncMap{"number": Number}).Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{.Title}}</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 64em; padding: 0 1em; color: #222 }
h1 { font-size: 1.2em } table { border-collapse: collapse; margin: 1em 0; width: 100% }
th, td { padding: .25em .6em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
.n { text-align: right; font-variant-numeric: tabular-nums }
.held, .failed, .unclear { color: #b00020; font-weight: bold } .differs, .pending { color: #8a5a00 } .written { color: #1a7f37 } .missing { color: #777 }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
<p><strong>{{.Sentence}}</strong></p>
{{with .Warning}}<p class="held">{{.}}</p>
{{end}}{{with .Blame}}<p>{{.}}</p>
{{end}}{{range .Down}}<p class="failed">{{.Name}}: {{.Err}}</p>
{{end}}<table>
<tr><th>channel<th class="n">products<th class="n">agree<th class="n">too many<th class="n">too few<th class="n">held<th class="n">unknown<th class="n">failed
{{range .Channels}}<tr><td>{{.Name}}<td class="n">{{number .Checked}}<td class="n">{{number .Agree}}<td class="n">{{number .Over}}<td class="n">{{number .Under}}<td class="n">{{number .Held}}<td class="n">{{number .Missing}}<td class="n">{{number .Failed}}
{{end}}</table>
{{if .Rows}}<table>
<tr><th><th>channel<th>SKU<th>product<th class="n">shows<th class="n">should<th>why
{{range .Rows}}<tr><td class="{{.State}}">{{.State}}<td>{{.Channel}}<td>{{.SKU}}<td>{{.Name}}<td class="n">{{.Shown}}<td class="n">{{.Wanted}}<td>{{.Why}}
{{end}}</table>
{{end}}{{if .More}}<p>… and {{number .More}} more</p>
{{end}}</body>
</html>
`))

// HTML writes a summary as one page, which can be mailed: it loads nothing.
// limit is how many rows it has at most; 0 means all.
func HTML(w io.Writer, title string, s Summary, limit int) error {
	type row struct{ State, Channel, SKU, Name, Shown, Wanted, Why string }
	rows, more := s.first(limit)
	data := struct {
		Title, Sentence string
		Warning, Blame  string
		Down, Channels  []Channel
		Rows            []row
		More            int
	}{Title: title, Sentence: s.Sentence(), Warning: s.Warning(), Blame: s.Blame(), Down: s.Down(), Channels: s.Channels, More: more}
	for _, r := range rows {
		c := r.cells()
		for i := range c {
			c[i].Text = text.Clean(c[i].Text)
		}
		data.Rows = append(data.Rows, row{c[0].Text, c[1].Text, c[2].Text, c[3].Text, c[4].Text, c[5].Text, c[6].Text})
	}
	data.Channels = slices.Clone(data.Channels)
	for _, channels := range [][]Channel{data.Down, data.Channels} {
		for i := range channels {
			channels[i].Name, channels[i].Err = text.Clean(channels[i].Name), text.Clean(channels[i].Err)
		}
	}
	return page.Execute(w, data)
}
