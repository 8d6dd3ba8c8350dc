package report

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"personaprobe/analysis"
)

// TestWriteFiles checks that every file is there, is what its name says, and comes out
// the same again.
func TestWriteFiles(t *testing.T) {
	dir := smallFixture().report(t)
	first := make(map[string]string)
	for _, name := range write(t, dir) {
		data := read(t, dir, name)
		first[name] = data
		switch filepath.Ext(name) {
		case ".svg":
			d := xml.NewDecoder(strings.NewReader(data))
			for {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		case ".png":
			if img, err := png.Decode(strings.NewReader(data)); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if w := img.Bounds().Dx(); w < 600 || w > 3500 {
				t.Errorf("%s is %d pixels wide", name, w)
			}
		}
	}
	for _, name := range []string{"report.html", "report.md", "figures/scatter_by_source.svg", "figures/scatter_aggregate.png", "figures/heatmap_source_category.svg",
		"figures/category_bars.svg", "figures/leaky_sources.svg", "figures/cross_leakage.svg", "figures/layer_curve.svg", "figures/seed_agreement.svg"} {
		if first[name] == "" {
			t.Errorf("no %s; there are %v", name, slices.Sorted(maps.Keys(first)))
		}
	}
	for _, name := range write(t, dir) {
		if read(t, dir, name) != first[name] {
			t.Errorf("%s is not the same the second time", name)
		}
	}
}

// TestNumbersAreTraceable follows every number of the page into full_analysis.json and
// compares, and looks up its definition.
func TestNumbersAreTraceable(t *testing.T) {
	dir := smallFixture().report(t)
	var full any
	if err := json.Unmarshal([]byte(read(t, dir, fullFile)), &full); err != nil {
		t.Fatal(err)
	}
	doc := parse(t, dir)
	ids := make(map[string]bool)
	for n := range doc.Descendants() {
		ids[attribute(n, "id")] = true
	}
	checked, values := 0, 0
	for n := range doc.Descendants() {
		at, def := attribute(n, "data-at"), attribute(n, "data-def")
		if def != "" && !ids["def-"+def] {
			t.Errorf("no definition %q", def)
		}
		file, path, _ := strings.Cut(at, " ")
		if file != fullFile {
			continue
		}
		if def == "" {
			t.Errorf("the number at %s has no definition", path)
		}
		checked++
		v, ok := resolve(full, path)
		if !ok {
			t.Errorf("%s leads nowhere", path)
			continue
		}
		if interval, isObject := v.(map[string]any); isObject && interval["ci_lo"] != nil {
			v = interval["ci_lo"]
		}
		if shown := attribute(n, "data-v"); shown != "" {
			values++
			if x, err := strconv.ParseFloat(shown, 64); err != nil || v != any(x) {
				t.Errorf("%s is %v in the artefact and %s on the page", path, v, shown)
			}
		}
	}
	if checked < 350 || values < 300 {
		t.Errorf("only %d numbers with a place, %d with a value", checked, values)
	}
}

func parse(t *testing.T, dir string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(read(t, dir, htmlFile)))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// resolve follows a JSON pointer.
func resolve(v any, path string) (any, bool) {
	for _, token := range strings.Split(path, "/")[1:] {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch node := v.(type) {
		case map[string]any:
			next, ok := node[token]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(node) {
				return nil, false
			}
			v = node[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// TestCompletionsArePacked unpacks the page's texts and compares them with the shards'.
func TestCompletionsArePacked(t *testing.T) {
	f := smallFixture()
	f.completions = 60
	f.text = func(id string, _, _, _ int) string { return strings.Repeat("The quick brown "+id+" jumps. ", 25) }
	dir := f.report(t)
	doc := parse(t, dir)
	var c catalogue
	unpack(t, doc, "catalogue", &c)
	var texts []string
	for i, n := range c.Chunks {
		var chunk []string
		unpack(t, doc, "chunk-"+strconv.Itoa(i), &chunk)
		if len(chunk) != n {
			t.Errorf("chunk %d has %d texts, want %d", i, len(chunk), n)
		}
		texts = append(texts, chunk...)
	}
	if len(c.Chunks) < 2 {
		t.Errorf("%d chunks do not test their borders", len(c.Chunks))
	}
	want := make(map[string]map[string]map[string][]string)
	for _, h := range c.Shards {
		var raw map[string]map[string][]string
		if err := json.Unmarshal([]byte(read(t, dir, h.Name, rawFile)), &raw); err != nil {
			t.Fatal(err)
		}
		want[h.Name] = raw
	}
	at := 0
	for b := 0; b < len(c.Blocks); b += 4 {
		shard, persona, question, n := c.Shards[c.Blocks[b]].Name, c.Personas[c.Blocks[b+1]].ID, c.Questions[c.Blocks[b+2]], c.Blocks[b+3]
		if !slices.Equal(want[shard][persona][question], texts[at:at+n]) {
			t.Fatalf("the texts of %s, %s, %q differ", shard, persona, question)
		}
		for i := at; i < at+n; i++ {
			if marked := c.Marks[i/8]>>(i%8)&1 == 1; marked != strings.Contains(texts[i], "[ZLT]") {
				t.Fatalf("completion %d: marked is %v", i, marked)
			}
		}
		at += n
	}
	if at != c.Total || at != 2*2*(8+2)*3*60 {
		t.Errorf("%d completions, the catalogue says %d", at, c.Total)
	}
}

func unpack(t *testing.T, doc *html.Node, id string, v any) {
	t.Helper()
	for n := range doc.Descendants() {
		if attribute(n, "id") != id {
			continue
		}
		z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(n.FirstChild.Data)))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewDecoder(z).Decode(v); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("no data block %s", id)
}

// hostile are strings that would do something if they were not escaped.
var hostile = []string{
	`</script><script>window.pwned=1</script>`, `"><img src=x onerror=window.pwned=2>`, `' onmouseover='window.pwned=3`,
	`<!--<script>`, `{{.}}`, "a\u2028b\x00c\x1b[31m", `javascript:window.pwned=4`, `=HYPERLINK("http://example.com")`, `]]>&amp;<![CDATA[`, "| a | `b` *c* [d](e)",
}

// hostileFixture says hostile things wherever a file or a model can say something.
func hostileFixture() fixture {
	f := smallFixture()
	f.categories = []string{hostile[0], hostile[1] + "_x"}
	f.questions = hostile[:5]
	f.prompt = func(id string) string { return id + " " + strings.Join(hostile, " ") }
	f.text = func(_ string, q, c, _ int) string { return hostile[(q+c)%len(hostile)] }
	return f
}

// TestHostileText looks for what came through into page, Markdown and figures.
func TestHostileText(t *testing.T) {
	plain := smallFixture().report(t)
	dir := hostileFixture().report(t)
	count := func(dir, tag string) int {
		n := 0
		for x := range parse(t, dir).Descendants() {
			if x.Type == html.ElementNode && x.Data == tag && !strings.HasPrefix(attribute(x, "id"), "chunk-") {
				n++
			}
		}
		return n
	}
	for _, tag := range []string{"script", "img", "iframe"} {
		if a, b := count(plain, tag), count(dir, tag); a != b {
			t.Errorf("%d <%s>, want %d", b, tag, a)
		}
	}
	for n := range parse(t, dir).Descendants() {
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || strings.HasPrefix(strings.TrimSpace(a.Val), "javascript:") && a.Key == "href" {
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
	}
	if md := read(t, dir, markdownFile); regexp.MustCompile(`<(script|img|!)`).MatchString(md) {
		t.Error("report.md has markup of a persona")
	}
	for _, path := range glob(t, filepath.Join(dir, "figures", "*.svg")) {
		if bytes.Contains([]byte(read(t, path)), []byte("<script")) {
			t.Errorf("%s has a script", path)
		}
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v, %v", pattern, paths, err)
	}
	return paths
}

// TestPublishedPairs reports on somebody else's cosines and rates alone, with prompts
// from a file elsewhere.
func TestPublishedPairs(t *testing.T) {
	const reference = "../../shared/reference/"
	data, err := os.ReadFile(reference + "pairs_layer15.json")
	if err != nil {
		t.Skipf("no reference data: %v", err)
	}
	var published struct{ Pairs []map[string]any }
	if err := json.Unmarshal(data, &published); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, cosineFile), map[string]any{
		"metadata":  map[string]any{"base_model": "Qwen/Qwen2.5-7B-Instruct", "layers": []int{15}},
		"per_layer": map[string]any{"layer_15": map[string]any{"pairs": published.Pairs}},
	})
	full, err := analysis.Analyze(context.Background(), dir, analysis.Options{Personas: reference + "personas_original.json", Resamples: 200, Permutations: 99})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := full.Write(dir); err != nil {
		t.Fatal(err)
	}
	write(t, dir)
	md := read(t, dir, markdownFile)
	for _, s := range []string{"is 0.711 (95 % interval", "p = 4.2 × 10⁻³²",
		"software engineer, at a mean rate of 60.0", "is all-powerful dark emperor under villain, 98.0\u00a0%;"} {
		if !strings.Contains(strings.ReplaceAll(md, " %", "\u00a0%"), strings.ReplaceAll(s, " %", "\u00a0%")) {
			t.Errorf("report.md does not say %q", s)
		}
	}
	if strings.Contains(md, "changed since the analysis") {
		t.Error("a file of another place passes for one that changed")
	}
}

// An analysis does not decide which files outside of its directory are read.
func TestPathsStayInside(t *testing.T) {
	dir := smallFixture().report(t)
	good, err := os.ReadFile(filepath.Join(dir, fullFile))
	if err != nil {
		t.Fatal(err)
	}
	var full analysis.Full
	for _, change := range []func(){
		func() { full.Inputs = append(full.Inputs, analysis.Input{File: "../../etc/passwd"}) },
		func() { full.Inputs = append(full.Inputs, analysis.Input{File: "/dev/zero"}) },
		func() { full.Inputs = append(full.Inputs, analysis.Input{File: "a/../../b"}) },
		func() { full.Personas[0].Source = "../x" },
		func() { full.Personas[0].Seeds.Set("42/../../x", analysis.SeedRate{}) },
	} {
		full = analysis.Full{}
		if err := json.Unmarshal(good, &full); err != nil {
			t.Fatal(err)
		}
		change()
		if _, err := full.Write(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := Write(context.Background(), dir, Options{}); !errors.Is(err, ErrNoAnalysis) || !strings.Contains(err.Error(), "is not in the directory") {
			t.Errorf("%v", err)
		}
	}
}

func TestNoAnalysis(t *testing.T) {
	for name, content := range map[string]string{"": "", "half": `{"format": 1,`, "foreign": `{"experiment": "x"}`, "empty": `{"format": 1}`} {
		dir := t.TempDir()
		if name != "" {
			if err := os.WriteFile(filepath.Join(dir, fullFile), []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Write(context.Background(), dir, Options{}); !errors.Is(err, ErrNoAnalysis) {
			t.Errorf("%q: %v, want ErrNoAnalysis", name, err)
		}
		if files, _ := filepath.Glob(filepath.Join(dir, "report*")); files != nil {
			t.Errorf("%q: wrote %v", name, files)
		}
	}
}

func TestSeriesDiffer(t *testing.T) {
	seen := make(map[string]int)
	for i := range 64 {
		look := svgPath(seriesShape(i)) + " " + strconv.Itoa(int(seriesColor(i).R)<<16|int(seriesColor(i).G)<<8|int(seriesColor(i).B))
		if j, ok := seen[look]; ok {
			t.Errorf("series %d looks like %d", i, j)
		}
		seen[look] = i
	}
	for i := range okabeIto {
		for j := range i { // neighbours in a legend differ in shape too, so colour is never alone
			if svgPath(shapes[i]) == svgPath(shapes[j]) {
				t.Errorf("shapes %d and %d are the same", i, j)
			}
		}
	}
	for name, scale := range map[string]ramp{"sequential": sequential, "diverging": diverging} {
		for k := range 101 {
			if c := scale.at(float64(k) / 100); contrast(c, on(c)) < 4.5 {
				t.Errorf("text on %s colour %d %% has contrast %.1f", name, k, contrast(c, on(c)))
			}
		}
	}
}

func TestFormats(t *testing.T) {
	for v, want := range map[float64]string{0.5: "0.50", 0.01: "0.010", 0.000123: "1.2 × 10⁻⁴", 4.2e-32: "4.2 × 10⁻³²", 1: "1.00"} {
		if got := pValue(v); got != want {
			t.Errorf("pValue(%v) = %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 135000: "135,000", -1234567: "−1,234,567"} {
		if got := grouped(v); got != want {
			t.Errorf("grouped(%v) = %q, want %q", v, got, want)
		}
	}
	if got := percent(-0.0001); got != "0.0\u00a0%" {
		t.Errorf("percent = %q", got)
	}
}
