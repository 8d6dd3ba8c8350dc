package hidden

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"personaprobe/internal/disk/disktest"
)

// Whichever operation on the disk fails: the error says so, what stands outside of the
// folder of growing files is whole, and the next call ends with the right bytes.
func TestEveryDiskFault(t *testing.T) {
	e := open(t, nil)
	personas, questions := grid(t, 2, 1)
	prompts := Grid(personas, questions)
	for name, opts := range map[string]ExtractOptions{
		"states":    {Layers: []int{3}, block: block{1, 1 << 30}},
		"responses": {Layers: []int{3}, Position: PositionResponseAll, Response: Response{MaxTokens: 2}, block: block{1, 1 << 30}},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name == "responses" {
				t.Skip("takes half a minute")
			}
			work := func(dir string) error {
				_, err := Extract(context.Background(), e, prompts, filepath.Join(dir, "out"), opts)
				return err
			}
			sound := func(t *testing.T, dir string, want map[string]string) {
				for path, data := range disktest.Files(t, dir) {
					growing := strings.Contains(path, partialName+string(filepath.Separator)) || disktest.IsTemporary(path)
					if !growing && want[path] != data {
						t.Fatalf("%s is there and wrong", path)
					}
				}
			}
			disktest.EveryFault(t, disktest.Work{Do: work, Sound: sound, Lenient: true})
		})
	}
}
