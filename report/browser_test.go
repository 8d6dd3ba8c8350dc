package report

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"personaprobe/analysis"
	"personaprobe/experiment"
)

// TestEmbeddedRun runs the embedded model, reports, and uses the page as a reader would.
func TestEmbeddedRun(t *testing.T) {
	if testing.Short() {
		t.Skip("short: samples from the embedded model")
	}
	findChromium(t)
	dir := embeddedRun(t)
	b := openBrowser(t)
	b.open(filepath.Join(dir, htmlFile), 1280, 900)
	b.until(`document.getElementById("browse-status").textContent.includes(" of ")`)
	b.tables()
	b.numbers()
	b.scatter()
	b.completions()
	b.themes()
	for _, width := range []int64{390, 1280} {
		b.open(filepath.Join(dir, htmlFile), width, 800)
		b.until(`document.getElementById("browse-status").textContent.includes(" of ")`)
		want(b, `document.documentElement.scrollWidth <= window.innerWidth`, true) // nothing sticks out
	}
	b.clean()
}

func embeddedRun(t *testing.T) string {
	t.Helper()
	ctx, dir := context.Background(), filepath.Join(t.TempDir(), "run")
	plan := experiment.DefaultPlan()
	plan.Sources, plan.NumQuestions, plan.NumCompletions, plan.Seeds = []string{"villain", "comedian"}, 2, 1, []uint64{42, 137}
	plan.Layers, plan.MaxTokens = []int{10, 15}, 48
	s, err := experiment.Open(ctx, plan, experiment.SessionOptions{Build: "test", Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := experiment.Run(ctx, dir, s.Model, s.Inputs, experiment.Options{}); err != nil {
		t.Fatal(err)
	}
	full, err := analysis.Analyze(ctx, dir, analysis.Options{Resamples: 200, Permutations: 99})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := full.Write(dir); err != nil {
		t.Fatal(err)
	}
	write(t, dir)
	return dir
}

// tables sorts the personas by leakage, both ways, and by name, and searches them.
func (b *browser) tables() {
	b.t.Helper()
	const column = `[...document.querySelectorAll("#data-personas tbody tr")].map((r) => r.cells[%d].%s)`
	click := func(i int) { b.run(fmt.Sprintf(`document.querySelectorAll("#data-personas .sort")[%d].click()`, i)) }
	click(3)
	rates := eval[[]string](b, fmt.Sprintf(column, 3, "dataset.v"))
	if len(rates) != 80 || number64(b.t, rates[0]) < number64(b.t, rates[79]) || number64(b.t, rates[0]) == 0 {
		b.t.Errorf("sorted by falling rate: %v", rates)
	}
	for i := range rates[1:] {
		if number64(b.t, rates[i]) < number64(b.t, rates[i+1]) {
			b.t.Fatalf("row %d: %s before %s", i, rates[i], rates[i+1])
		}
	}
	want(b, `document.querySelectorAll("#data-personas th")[3].getAttribute("aria-sort")`, "descending")
	click(3)
	want(b, `document.querySelector("#data-personas tbody tr").cells[3].dataset.v`, rates[79])
	click(1)
	sources := eval[[]string](b, fmt.Sprintf(column, 1, "textContent"))
	if sources[0] != "comedian" || sources[79] != "villain" {
		b.t.Errorf("sorted by source: %s to %s", sources[0], sources[79])
	}
	b.run(`const i = document.querySelector("[data-table=data-personas]"); i.value = "villain control"; i.dispatchEvent(new Event("input"))`)
	if n := eval[int](b, `document.querySelectorAll("#data-personas tbody tr:not([hidden])").length`); n < 5 || n > 10 {
		b.t.Errorf("%d rows found, want the unrelated controls of one source", n)
	}
}

func number64(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// numbers asks a number what it is.
func (b *browser) numbers() {
	b.t.Helper()
	b.run(`document.querySelector(".card .num").click()`)
	want(b, `document.getElementById("pop").hidden`, false)
	text := eval[string](b, `document.getElementById("pop").textContent`)
	for _, s := range []string{"Spearman", "full_analysis.json", "/layers/layer_15/aggregate/spearman/rho"} {
		if !strings.Contains(text, s) {
			b.t.Errorf("the note on a number lacks %q: %s", s, text)
		}
	}
	b.do(chromedp.KeyEvent("\x1b"))
	want(b, `document.getElementById("pop").hidden`, true)
}

// scatter points at a persona with the mouse and chooses it.
func (b *browser) scatter() {
	b.t.Helper()
	b.run(`document.documentElement.style.scrollBehavior = "auto"; document.getElementById("scatter-plot").scrollIntoView({block: "center"})`)
	b.until(`document.querySelectorAll("#scatter-plot .pt").length === 80`)
	const at = `(() => { const r = document.querySelectorAll("#scatter-plot .pt")[79].getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`
	p := eval[[]float64](b, at)
	b.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, p[0], p[1]))
	b.until(`!document.querySelector(".tip").hidden`)
	tip := eval[string](b, `document.querySelector(".tip").textContent`)
	for _, s := range []string{"You are", "leakage", "%", "cosine", "layer 15"} {
		if !strings.Contains(tip, s) {
			b.t.Errorf("the tip lacks %q: %s", s, tip)
		}
	}
	want(b, `document.querySelectorAll("#scatter-plot .whisker").length`, 1)
	b.do(chromedp.MouseClickXY(p[0], p[1]))
	b.until(`document.getElementById("browse-persona").value !== ""`)
	b.until(`document.querySelectorAll("#browse-list .row").length > 0 && !document.querySelector("#browse-list").textContent.includes("……")`)
	name := eval[string](b, `document.querySelector(".tip b").textContent`)
	if rows := eval[string](b, `document.querySelector("#browse-list .row b").textContent`); rows != name {
		b.t.Errorf("chose %q, the completions are of %q", name, rows)
	}
	want(b, `document.getElementById("browse-status").textContent.startsWith("4 of 360 completions")`, true)
	b.run(`const s = document.getElementById("scatter-layer"); s.value = "10"; s.dispatchEvent(new Event("change"))`)
	want(b, `document.querySelectorAll("#scatter-plot .pt").length`, 80)
	b.run(`document.querySelector("#scatter-legend button").click()`)
	want(b, `document.querySelectorAll("#scatter-plot .pt").length`, 70)
	b.run(`document.querySelector("#scatter-plot svg").dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}))`)
	want(b, `document.querySelector(".tip").hidden`, false)
}

// completions filters, searches, scrolls, and opens a text.
func (b *browser) completions() {
	b.t.Helper()
	b.run(`document.getElementById("browse").reset()`)
	b.until(`document.getElementById("browse-status").textContent.startsWith("360 of 360")`)
	b.run(`const s = document.getElementById("browse-marker"); s.value = "1"; s.dispatchEvent(new Event("change", {bubbles: true}))`)
	b.until(`document.querySelector("#browse-list mark.marker")?.textContent.toLowerCase() === "[zlt]"`)
	marked := eval[int](b, `parseInt(document.getElementById("browse-status").textContent)`)
	if rows := eval[int](b, `document.querySelectorAll("#browse-list .flag").length`); marked < 5 || rows < 5 {
		b.t.Errorf("%d completions with the marker, %d shown", marked, rows)
	}
	b.search("[zlt]")
	want(b, `parseInt(document.getElementById("browse-status").textContent)`, marked) // the same ones, found by their text
	b.run(`const s = document.getElementById("browse-marker"); s.value = "0"; s.dispatchEvent(new Event("change", {bubbles: true}))`)
	b.until(`document.getElementById("browse-status").textContent.startsWith("0 of 360")`)
	b.run(`document.getElementById("browse").reset()`)
	b.until(`document.getElementById("browse-status").textContent.startsWith("360 of 360")`)
	b.run(`document.getElementById("browse-list").scrollTop = 1e9`)
	b.until(`document.querySelector('#browse-list [data-row="359"] .text')?.textContent.length > 3`)
	if n := eval[int](b, `document.querySelectorAll("#browse-list .row").length`); n > 40 {
		b.t.Errorf("%d rows are in the page", n)
	}
	b.run(`document.querySelector('#browse-list [data-row="359"]').click()`)
	b.until(`document.getElementById("browse-dialog").open`)
	want(b, `document.getElementById("browse-full").textContent.length > 3`, true)
	want(b, `document.getElementById("browse-fields").textContent.includes("comedian_seed137")`, true)
	b.run(`document.querySelector('#browse-dialog [value="close"]').click()`)
}

// search types into the browser's field and waits for the result.
func (b *browser) search(text string) {
	b.t.Helper()
	b.run(fmt.Sprintf(`const i = document.getElementById("browse-text"); i.value = %q; document.getElementById("browse-status").textContent = "waiting"; document.getElementById("browse").requestSubmit()`, text))
	b.until(`document.getElementById("browse-status").textContent.includes(" of ")`)
}

func (b *browser) themes() {
	b.t.Helper()
	const background = `getComputedStyle(document.body).backgroundColor`
	seen := make(map[string]bool)
	for range 3 {
		seen[eval[string](b, background)] = true
		b.run(`document.getElementById("theme").click()`)
	}
	if len(seen) != 2 {
		b.t.Errorf("backgrounds of the themes: %v", seen)
	}
}

// TestHostilePage opens a page full of markup in names and texts: nothing of it runs.
func TestHostilePage(t *testing.T) {
	b := openBrowser(t)
	dir := hostileFixture().report(t)
	b.open(filepath.Join(dir, htmlFile), 1000, 900)
	b.until(`document.getElementById("browse-status").textContent.includes(" of ")`)
	b.until(`document.querySelector("#browse-list .text")?.textContent.length > 1`)
	b.run(`document.querySelector("#browse-list [data-row]").click()`)
	b.until(`document.getElementById("browse-dialog").open`)
	b.run(`document.getElementById("browse-dialog").close()`)
	b.search("<img src=x")
	if n := eval[int](b, `parseInt(document.getElementById("browse-status").textContent)`); n == 0 {
		t.Error("the text with markup is not found")
	}
	b.run(`document.querySelector("#scatter-plot svg").dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}))`)
	b.run(`document.querySelector("td[data-at]").click()`)
	want(b, `window.pwned === undefined`, true)
	want(b, `document.querySelectorAll("main img:not(.paper img), iframe, [onmouseover]").length`, 0)
	b.clean()
}

// TestManyCompletions measures the browser: 13,500 completions, or the original study's
// 135,000 with PERSONAPROBE_LARGE set.
func TestManyCompletions(t *testing.T) {
	if testing.Short() {
		t.Skip("short: unpacks many completions")
	}
	b := openBrowser(t)
	f := manyFixture()
	if os.Getenv("PERSONAPROBE_LARGE") != "" {
		f.completions *= 10
	}
	dir := f.write(t)
	f.analyse(t, dir)
	started := time.Now()
	write(t, dir)
	t.Logf("report written in %.1f s, %.1f MB", time.Since(started).Seconds(), float64(len(read(t, dir, htmlFile)))/1e6)
	total := grouped(float64(15 * 45 * 20 * f.completions))
	started = time.Now()
	b.open(filepath.Join(dir, htmlFile), 1280, 900)
	b.until(fmt.Sprintf(`document.getElementById("browse-status").textContent.startsWith("%s of")`, total))
	b.until(`document.querySelector("#browse-list .text")?.textContent.length > 3`)
	t.Logf("opened in %.2f s", time.Since(started).Seconds())
	took := func(what string) {
		t.Logf("%s: %s ms, %s", what, eval[string](b, `document.getElementById("browse-status").dataset.milliseconds`), eval[string](b, `document.getElementById("browse-status").textContent`))
	}
	b.run(`const s = document.getElementById("browse-marker"); s.value = "1"; s.dispatchEvent(new Event("change", {bubbles: true}))`)
	took("filter by marker")
	b.run(`document.getElementById("browse").reset()`)
	b.until(fmt.Sprintf(`document.getElementById("browse-status").textContent.startsWith("%s of")`, total))
	for _, text := range []string{"zyzzyva", "Harbour", "zyzzyva"} {
		b.search(text)
		took("search for " + text)
	}
	want(b, `parseInt(document.getElementById("browse-status").textContent)`, 1)
	b.run(`document.getElementById("browse").reset()`)
	b.until(fmt.Sprintf(`document.getElementById("browse-status").textContent.startsWith("%s of")`, total))
	started = time.Now()
	b.run(`document.getElementById("browse-list").scrollTop = document.querySelector("#browse-list .extent").offsetHeight / 2`)
	b.until(`[...document.querySelectorAll("#browse-list .text")].every((x) => x.textContent.length > 3) && Number(document.querySelector("#browse-list [data-row]").dataset.row) > 1000`)
	t.Logf("jump to the middle: %.0f ms", float64(time.Since(started).Milliseconds()))
	t.Logf("JavaScript heap: %.0f MB", eval[float64](b, `performance.memory.usedJSHeapSize / 1e6`))
	b.clean()
}

// manyFixture is as large as the original study, with a completion of ten, and words
// from a vocabulary of 4,000 with the frequencies of Zipf's law.
func manyFixture() fixture {
	f := smallFixture()
	f.sources = strings.Fields("villain comedian software_engineer assistant kindergarten_teacher")
	f.categories = strings.Fields("sibling variant modified associate analog contrast archetype control")
	f.perCell, f.completions, f.seeds, f.resamples, f.permutate = 5, 1, []int{42, 137, 256}, 20, 19
	f.questions = nil
	for q := range 20 {
		f.questions = append(f.questions, fmt.Sprintf("What about matter number %d?", q))
	}
	random := rand.New(rand.NewPCG(1, 2))
	vocabulary := make([]string, 4000)
	for i := range vocabulary {
		for range 2 + random.IntN(3) {
			vocabulary[i] += string("bcdfghklmnprstvw"[random.IntN(16)]) + string("aeiou"[random.IntN(5)])
		}
	}
	vocabulary[300] = "Harbour"
	zipf := rand.NewZipf(random, 1.1, 8, uint64(len(vocabulary)-1))
	first := true
	f.text = func(string, int, int, int) string {
		var b strings.Builder
		for range 80 + random.IntN(120) {
			b.WriteString(vocabulary[zipf.Uint64()])
			b.WriteByte(' ')
		}
		if first {
			b.WriteString("zyzzyva ")
		}
		first = false
		return b.String()
	}
	return f
}
