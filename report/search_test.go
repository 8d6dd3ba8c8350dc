package report

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"personaprobe/analysis"
)

// searches are texts with characters that mean something to a pattern, or to a script.
var searches = []string{
	"well-known", "-", "[ZLT]", "a]b", "c[d", `C:\dir`, `\`, "a|b", "(x)", "{1}", "$5.00", "^top", "a/b", "*", "+",
	"?", ".", "&-~", "--", "!!", "🙂",
	"👩\u200D🚀", "你好", "שלום", "مرحبا", "é",
}

// TestSearchTakesAnyText searches the page for every kind of text: each finds its own
// completion and marks it, and none breaks the list.
func TestSearchTakesAnyText(t *testing.T) {
	b := openBrowser(t)
	const marker = "<end-of-[it]-※>" // a hyphen and brackets in the marker itself
	f := smallFixture()
	f.marker, f.completions = marker, len(searches)
	f.text = func(_ string, _, c, _ int) string {
		return strings.Repeat("没有空格的长文本", 60) + fmt.Sprintf("<%d>", c) + searches[c] + strings.Repeat("🚀", 200)
	}
	dir := f.write(t)
	full, err := analysis.Analyze(context.Background(), dir, analysis.Options{Resamples: 50, Permutations: 19,
		Marker: marker})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := full.Write(dir); err != nil {
		t.Fatal(err)
	}
	write(t, dir)
	b.open(filepath.Join(dir, htmlFile), 1280, 900)
	b.until(`document.getElementById("browse-status").textContent.includes(" of ")`)
	total := 2 * 2 * (8 + 2) * 3 * len(searches)
	want(b, `parseInt(document.getElementById("browse-status").textContent.replace(/,/g, ""))`, total)
	b.until(`document.querySelectorAll("#browse-list .row").length > 3`)
	b.run(`const s = document.getElementById("browse-marker"); s.value = "1"; s.dispatchEvent(new Event("change", {bubbles: true}))`)
	b.until(fmt.Sprintf(`document.querySelector("#browse-list mark.marker")?.textContent === %q`, marker))
	b.run(`document.getElementById("browse").reset()`)
	b.until(fmt.Sprintf(`document.getElementById("browse-status").textContent.startsWith("%s of")`,
		grouped(float64(total))))
	for i, text := range searches {
		b.search(fmt.Sprintf("<%d>%s", i, text))
		want(b, `parseInt(document.getElementById("browse-status").textContent)`, total/len(searches))
		b.until(`document.querySelector("#browse-list mark:not(.marker)")`)
		want(b, `document.querySelector("#browse-list mark:not(.marker)").textContent`, fmt.Sprintf("<%d>%s", i, text))
		b.search(text)
		if n := eval[int](b, `parseInt(document.getElementById("browse-status").textContent.replace(/,/g, ""))`); n < total/len(searches) {
			t.Errorf("%q: found %d completions", text, n)
		}
		want(b, `[...document.querySelectorAll("#browse-list .text")].every((x) => x.textContent.isWellFormed())`, true)
	}
	b.search("")
	want(b, `parseInt(document.getElementById("browse-status").textContent.replace(/,/g, ""))`, total)
	b.clean()
}
