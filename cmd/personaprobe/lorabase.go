package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"personaprobe/experiment"
	"personaprobe/lora"
	"personaprobe/models"
	"personaprobe/models/tiny"
)

// baseFlag is --model of the verbs on adapters.
func baseFlag(end string) cli.Flag {
	usage := "base model, GGUF file or Hugging Face checkpoint `PATH`, or \"tiny\""
	return &cli.StringFlag{Name: "model", Usage: strings.TrimSpace(usage + " " + end)}
}

// loraBase is what --model of the verbs on adapters stands for.
type loraBase struct {
	model    string            // path of a GGUF file, "" without --model
	embedded map[string]string // the embedded model's adapters by name, nil with another
}

// openBase resolves --model as the other verbs do: a checkpoint is converted into the cache.
func openBase(ctx context.Context, c *cli.Context) (loraBase, error) {
	path := c.String("model")
	if path == "" {
		return loraBase{}, nil
	}
	cache, err := models.CacheDir()
	if err != nil {
		return loraBase{}, err
	}
	if path == experiment.EmbeddedModel {
		files, err := tiny.Install(ctx, cache)
		return loraBase{files.Model, files.Adapters}, err
	}
	p := newProgress(c.App.ErrWriter, c.Bool("quiet"))
	defer p.close()
	model, err := models.Resolve(ctx, path, cache, p.bytes("converting the model"))
	return loraBase{model: model}, err
}

// adapter is the path of an adapter: one of the embedded ones by its name, unless there is
// a file of that name.
func (b loraBase) adapter(path string) string {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) && b.embedded[path] != "" {
		return b.embedded[path]
	}
	return path
}

// runLoraInspect shows what an adapter is, and then refuses one that cannot be used.
func runLoraInspect(w io.Writer, path, model string, asJSON, tensors bool) error {
	info, err := models.Inspect(path)
	if err != nil {
		return err
	}
	d, unfit := lora.Inspect(path, model)
	if asJSON {
		err = writeJSON(w, struct {
			*models.Info
			Adapter *lora.Description `json:"adapter,omitempty"`
		}{info, d})
	} else if err = info.WriteText(w, tensors); err == nil && unfit == nil {
		err = d.WriteText(w)
	}
	if err != nil || unfit != nil {
		return errors.Join(err, unfit)
	}
	for _, text := range d.Warnings {
		warn(text)
	}
	if model != "" && !asJSON {
		_, err = fmt.Fprintln(w, "fits          the base model")
	}
	return err
}
