package report

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"personaprobe/internal/sums"
)

//go:embed assets
var assets embed.FS

// scripts are the page's, in the order in which they run.
var scripts = []string{"page.js", "theme.js", "tables.js", "numbers.js", "scatter.js", "store.js", "completions.js"}

// script is one of the page's, with the hash that its security policy allows it by.
type script struct {
	Text template.JS
	Hash string
}

// page is what the template shows.
type page struct {
	Title, Model string
	Policy       string
	Style        template.CSS
	Scripts      []script

	Cards       []card
	Warnings    []string
	Summary     []phrase
	Caveats     []caveat
	Gaps        []string
	Figures     []pageFigure
	Tables      []table
	Manifest    []field
	Settings    []field
	Inputs      []field
	Files       []string
	Definitions []definition

	HasScatter, HasCompletions bool
	Layers                     []int
	Layer                      int
	Level                      string
}

type pageFigure struct {
	figure
	Image         template.URL
	Width, Height int
}

// field is a name with its value.
type field struct{ Name, Value string }

// writeHTML writes report.html.
func (s *study) writeHTML(figures []figure, texts *texts) error {
	return sums.Write(filepath.Join(s.dir, htmlFile), func(f io.Writer) error {
		w := bufio.NewWriterSize(f, 1<<20)
		if err := s.renderHTML(w, figures, texts); err != nil {
			return fmt.Errorf("write %s: %w", htmlFile, err)
		}
		return w.Flush()
	})
}

func (s *study) renderHTML(w io.Writer, figures []figure, texts *texts) error {
	p, err := s.page(figures)
	if err != nil {
		return err
	}
	t, err := template.New("page").Funcs(template.FuncMap{"sortKey": sortKey}).ParseFS(assets, "assets/*.tmpl")
	if err != nil {
		return err
	}
	if err := t.ExecuteTemplate(w, "page.tmpl", p); err != nil {
		return err
	}
	if _, err := texts.packed.WriteTo(w); err != nil {
		return err
	}
	if texts.catalogue.Total > 0 {
		if err := writePacked(w, "catalogue", texts.catalogue); err != nil {
			return err
		}
	}
	// json.Marshal escapes <, > and &, so nothing can end the element.
	data, err := json.Marshal(s.scatterData())
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "<script type=\"application/json\" id=\"study\">%s</script>\n", data); err != nil {
		return err
	}
	return t.ExecuteTemplate(w, "end.tmpl", p)
}

func (s *study) page(figures []figure) (*page, error) {
	p := &page{
		Title: "Persona leakage", Model: s.full.BaseModel,
		Warnings: s.warnings(), Cards: s.cards(), Summary: s.summary(), Caveats: s.caveats(), Gaps: s.gaps(),
		Tables:   s.tables(),
		Manifest: s.manifest(), Settings: s.settings(), Files: s.artefacts(), Definitions: definitions,
		HasScatter: s.layerIndex() >= 0, HasCompletions: s.hasTexts,
		Layers: s.layers, Layer: s.layer, Level: s.level(),
	}
	for _, in := range s.full.Inputs {
		p.Inputs = append(p.Inputs, field{in.File, in.SHA256})
	}
	for _, f := range figures {
		svg, err := f.svg()
		if err != nil {
			return nil, err
		}
		p.Figures = append(p.Figures, pageFigure{
			figure: f, Width: int(f.width.Points() * 4 / 3), Height: int(f.height.Points() * 4 / 3),
			Image: template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(svg)), //nolint:gosec // our own drawing
		})
	}
	return p, p.addAssets()
}

// addAssets reads style and scripts. The policy allows those by their hashes and nothing
// else: no other script, no request of any kind.
func (p *page) addAssets() error {
	style, err := assets.ReadFile("assets/style.css")
	if err != nil {
		return err
	}
	p.Style = template.CSS(style) //nolint:gosec // our own
	var hashes []string
	for _, name := range scripts {
		text, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return err
		}
		p.Scripts = append(p.Scripts, script{Text: template.JS(text), Hash: sourceHash(text)}) //nolint:gosec // our own
		hashes = append(hashes, sourceHash(text))
	}
	p.Policy = fmt.Sprintf("default-src 'none'; img-src data:; style-src %s; script-src %s; base-uri 'none'; form-action 'none'",
		sourceHash(style), strings.Join(hashes, " "))
	return nil
}

func sourceHash(text []byte) string {
	sum := sha256.Sum256(text)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// sortKey is a number as scripts read it, or "" if it is undefined.
func sortKey(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}
