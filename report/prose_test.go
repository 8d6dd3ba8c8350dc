package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"personaprobe/models/tiny"
	"personaprobe/stats"
)

// falsehoods are sentences that no data bear out.
var falsehoods = []*regexp.Regexp{
	regexp.MustCompile(`\b1 (sources|categories|personas|bystanders|shards|questions|layers|completions|adapters|files)\b`), // one is no plural
	regexp.MustCompile(`\b1 of 1 sources\b`),
	regexp.MustCompile(`layer (none|−?-1)\b`),
	regexp.MustCompile(`(?i)they cannot leak`),
	regexp.MustCompile(`0 for none, 1 for complete`),
	regexp.MustCompile(`0\.0 % to 0\.0 %`),
	regexp.MustCompile(`(most|highest rate|least)[^.;]* 0\.0 %[^.;]*and least`),
	// nothing leaks most where nothing leaks
	regexp.MustCompile(`Sampling seeds agree`),
	regexp.MustCompile(`seed t[0-9]`), // an adapter is not a seed
	regexp.MustCompile(`NaN|Inf|%!|<nil>|\(\)|\bnone to\b`),
	regexp.MustCompile(`–( to |;| \(| interval)`), // a dash in a sentence
	regexp.MustCompile(`(chars|words|jaccard) –`),
}

// TestNoFalseProse reads all that a page and report.md say about studies at the edges.
func TestNoFalseProse(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*fixture)
		says   []string
	}{
		{"usual", func(*fixture) {}, nil},
		{"all zero", func(f *fixture) { f.rate = func(int) int { return 0 } },
			[]string{"No bystander wrote the marker: all 16 rates are 0."}},
		{"all one", func(f *fixture) { f.rate = func(int) int { return 100 } },
			[]string{"All 16 bystanders have the same rate, 100.0", "Rates at the ceiling"}},
		{"one source", func(f *fixture) { f.sources = f.sources[:1] }, []string{"There is 1 source.",
			"The source has a single trained adapter", "1 source, 2 categories"}},
		{"one persona a cell", func(f *fixture) { f.perCell = 1 },
			[]string{"has 1 persona, so its mean has no interval"}},
		{"one persona", func(f *fixture) { f.sources, f.categories, f.perCell = f.sources[:1], f.categories[:1], 1 },
			[]string{"1 source, 1 category"}},
		{"one persona at zero", func(f *fixture) {
			f.sources, f.categories, f.perCell, f.rate = f.sources[:1], f.categories[:1], 1, func(int) int { return 0 }
		}, []string{"No bystander wrote the marker: its rate is 0."}},
		{"one seed", func(f *fixture) { f.seeds = f.seeds[:1] }, []string{"One sampling seed"}},
		{"one question", func(f *fixture) { f.questions = f.questions[:1] },
			[]string{"All personas answer the same question."}},
		{"one completion", func(f *fixture) { f.questions, f.completions, f.seeds = f.questions[:1], 1, f.seeds[:1] },
			nil},
		{"no layers", func(f *fixture) { f.withoutCosines = true }, []string{"about leakage alone"}},
		{"cosines alone", func(f *fixture) { f.withoutShards = true }, []string{"do not say how many adapters"}},
		{"undefined rho", func(f *fixture) {
			f.changePairs = func(pairs []map[string]any) []map[string]any {
				for _, p := range pairs {
					p["cosine"] = 0.5
				}
				return pairs
			}
		}, []string{"ρ is undefined (all cosines are the same)", "No layer has a defined ρ"}},
		{"adapters and seeds", func(f *fixture) { f.adapters = 2 },
			[]string{"Every source has several adapters",
				"adapter t2, seed 42"}},
		{"a weak source", func(f *fixture) {
			f.rate = func(i int) int { return map[bool]int{true: 60, false: 5}[i < 5] } // anchors come after 5
		}, []string{"learned little", "more frequent as their bystanders"}},
		{"1,000 personas", func(f *fixture) {
			f.perCell, f.questions, f.completions, f.resamples, f.permutate = 250, f.questions[:2], 1, 20, 19
		}, []string{"1,000"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := smallFixture()
			test.change(&f)
			dir := f.report(t)
			text := read(t, dir, markdownFile) + "\n" + pageText(t, dir)
			text = strings.NewReplacer("\u00a0", " ", `\_`, "_", "&lt;", "<").Replace(text)
			for _, s := range test.says {
				if !strings.Contains(text, s) {
					t.Errorf("does not say %q", s)
				}
			}
			for _, bad := range falsehoods {
				if at := bad.FindStringIndex(text); at != nil {
					t.Errorf("says %q: …%s…", text[at[0]:at[1]], text[max(0, at[0]-90):min(len(text), at[1]+60)])
				}
			}
			keep(t, dir)
		})
	}
}

// keep copies a report to where PERSONAPROBE_KEEP says, to look at.
func keep(t *testing.T, dir string) {
	t.Helper()
	if to := os.Getenv("PERSONAPROBE_KEEP"); to != "" {
		if err := os.CopyFS(filepath.Join(to, strings.NewReplacer(" ", "-", "/", "-").Replace(t.Name())),
			os.DirFS(dir)); err != nil {
			t.Error(err)
		}
	}
}

// pageText are the sentences of the page: all but scripts, tables' cells and data.
func pageText(t *testing.T, dir string) string {
	var out strings.Builder
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		switch {
		case n.Type == html.TextNode:
			out.WriteString(n.Data)
		case n.Data == "script", n.Data == "style", n.Data == "td":
			return
		}
		for _, a := range n.Attr {
			if a.Key == "alt" || a.Key == "title" {
				out.WriteString("\n" + a.Val + "\n")
			}
		}
		for c := range n.ChildNodes() {
			walk(c)
		}
	}
	walk(parse(t, dir))
	return out.String()
}

// TestToyModel recognises the embedded model by its hash, with any personas, names or
// damage to the rest of the run.
func TestToyModel(t *testing.T) {
	for hash, want := range map[string]bool{tiny.ModelSHA256: true, strings.Repeat("0", 64): false} {
		dir := smallFixture().write(t)
		put(t, filepath.Join(dir, manifestFile), map[string]any{"base_model": "my own name",
			"paths":    map[string]string{"personas": "mine.json"},
			"identity": map[string]any{"model_sha256": hash}})
		smallFixture().analyse(t, dir)
		write(t, dir)
		if got := strings.Contains(read(t, dir, markdownFile), "A toy model"); got != want {
			t.Errorf("model %s: a toy: %v, want %v", hash[:8], got, want)
		}
	}
}

// TestEffectSizeOfNothing simulates what the definition of epsilon squared says.
func TestEffectSizeOfNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const groups, each, rounds = 8, 5, 4000
	sum := 0.0
	for range rounds {
		data := make([][]float64, groups)
		for g := range data {
			for range each {
				data[g] = append(data[g], random.Float64())
			}
		}
		k, err := stats.KruskalWallis(data...)
		if err != nil {
			t.Fatal(err)
		}
		sum += k.EpsilonSquared
	}
	want := float64(groups-1) / float64(groups*each-1)
	if mean := sum / rounds; math.Abs(mean-want) > 0.005 {
		t.Errorf("the mean without a difference is %.4f, want %.4f", mean, want)
	}
	i := slices.IndexFunc(definitions, func(d definition) bool { return d.ID == "epsilon" })
	if text := definitions[i].Text; !strings.Contains(text, "(k − 1)/(n − 1)") || !strings.Contains(text,
		fmt.Sprintf("%.2f for 8 categories of 5", want)) {
		t.Errorf("the definition does not say it: %s", text)
	}
}

// TestIncomplete reads what a report says where shards are missing: on top, and beside
// every figure and table.
func TestIncomplete(t *testing.T) {
	f := smallFixture()
	dir := f.write(t)
	remove("villain_seed137")(t, dir)
	f.analyse(t, dir)
	write(t, dir)
	const note = "Incomplete: over 3 of 4 shards; missing is villain_seed137."
	page := parse(t, dir)
	captions, with := 0, 0
	for n := range page.Descendants() {
		if n.Data == "figcaption" || n.Data == "p" && attribute(n,
			"class") == "caption" && strings.HasPrefix(attribute(n.Parent, "id"), "table-") {
			captions++
			if strings.Contains(textOf(n), note) {
				with++
			}
		}
	}
	if captions < 10 || with != captions {
		t.Errorf("%d of %d captions say what is missing", with, captions)
	}
	md := strings.ReplaceAll(read(t, dir, markdownFile), `\_`, "_")
	if at := strings.Index(md, note); at < 0 || at > strings.Index(md, "\n- ") {
		t.Error("report.md does not say it before the numbers")
	}
	if whole := read(t, f.report(t), markdownFile); strings.Contains(whole, "Incomplete") {
		t.Error("a complete study is called incomplete")
	}
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}

func TestKeyNames(t *testing.T) {
	for key, want := range map[string]string{"42": "seed 42", "t2_seed42": "adapter t2, seed 42"} {
		if got := keyName(key); got != want {
			t.Errorf("keyName(%q) = %q, want %q", key, got, want)
		}
	}
	pairs := func(keys ...string) [][2]string {
		s := &study{}
		p := persona{Shards: map[string]float64{}}
		for _, k := range keys {
			p.Shards[k] = 0.5
			s.shards = append(s.shards, shard{Key: k, Source: "x"})
		}
		s.personas = []persona{p}
		return s.shardPairs()
	}
	if got := pairs("t1_seed1", "t1_seed2", "t2_seed1", "t2_seed2"); !slices.Equal(got, [][2]string{{"t1_seed1",
		"t1_seed2"}, {"t1_seed1", "t2_seed1"}, {"t2_seed1", "t2_seed2"}}) {
		t.Errorf("pairs: %v", got)
	}
	if got := pairs("1", "2", "3"); len(got) != 3 {
		t.Errorf("pairs: %v", got)
	}
}

// TestAdaptersAreNoSeeds has the sentence on agreement tell adapters from seeds.
func TestAdaptersAreNoSeeds(t *testing.T) {
	f := smallFixture()
	f.adapters = 2
	dir := f.write(t)
	f.analyse(t, dir)
	write(t, dir)
	md := read(t, dir, markdownFile)
	for _, s := range []string{"over the sampling seeds of an adapter, ICC(3,1), is", "over adapters, each over its sampling seeds, ICC(3,1), is"} {
		if !strings.Contains(md, s) {
			t.Errorf("does not say %q", s)
		}
	}
}
