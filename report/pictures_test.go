package report

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestPictures takes pictures of a report, to look at: every part at desktop and phone
// width, light and dark. PERSONAPROBE_PICTURES names the directory of the report, in
// which it writes pictures/.
func TestPictures(t *testing.T) {
	dir := os.Getenv("PERSONAPROBE_PICTURES")
	if dir == "" {
		t.Skip("PERSONAPROBE_PICTURES names no report to take pictures of")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	b := openBrowser(t)
	out := filepath.Join(dir, "pictures")
	if err := os.MkdirAll(out, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, theme := range []string{"light", "dark"} {
		for name, width := range map[string]int64{"desktop": 1280, "phone": 390} {
			media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}
			if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
				t.Fatal(err)
			}
			b.open(filepath.Join(dir, htmlFile), width, 900)
			b.run(`document.documentElement.style.scrollBehavior = "auto"`)
			for _, id := range eval[[]string](b, `[...document.querySelectorAll("main > section, figure, .tablebox")].map((x) => x.id)`) {
				b.picture(id, filepath.Join(out, fmt.Sprintf("%s-%s-%s", name, theme, id)))
			}
		}
	}
	b.clean()
}

// opened are parts with something to open, and how.
var opened = map[string]string{
	"summary":     `document.querySelector(".card .num").click()`,
	"scatter":     `document.querySelector("#scatter-plot svg").dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowLeft"}))`,
	"completions": `document.querySelector("#browse-list [data-row]").click()`,
}

// picture scrolls to a part and takes its picture, and one with its note, tip or dialog.
func (b *browser) picture(id, path string) {
	b.t.Helper()
	b.run(fmt.Sprintf("document.getElementById(%q).scrollIntoView()", id))
	b.capture(path + ".png")
	if open := opened[id]; open != "" {
		b.run(open)
		b.capture(path + "-open.png")
		b.run(`document.getElementById("browse-dialog")?.close(); document.querySelector("#pop button")?.click()`)
	}
}

func (b *browser) capture(path string) {
	b.t.Helper()
	time.Sleep(300 * time.Millisecond) // for the list to fill
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, png, 0o666); err != nil {
		b.t.Fatal(err)
	}
}
