package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"personaprobe/models"
)

func quietFlag() cli.Flag {
	return &cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress"}
}

// weightTypes are the types of a model's matrices.
var weightTypes = []string{string(models.TypeF32), string(models.TypeF16), string(models.TypeBF16), string(models.TypeQ8)}

// shapeFlags choose a published shape, or with "custom" every size.
func shapeFlags() []cli.Flag {
	return []cli.Flag{
		oneOf(&cli.StringFlag{Name: "shape", Value: "qwen2.5-7b",
			Usage: "`NAME` of a shape: " + strings.Join(models.ShapeNames(), ", ") + ", or custom with the sizes below"},
			append(models.ShapeNames(), "custom")...),
		&cli.Int64Flag{Name: "hidden", Usage: "custom: width of a hidden state (no default)"},
		&cli.Int64Flag{Name: "intermediate", Usage: "custom: width of the MLP (no default)"},
		&cli.Int64Flag{Name: "layers", Usage: "custom: decoder layers (no default)"},
		&cli.Int64Flag{Name: "heads", Usage: "custom: query heads (no default)"},
		&cli.Int64Flag{Name: "kv-heads", Usage: "custom: key/value heads (default: as many as heads)"},
		&cli.Int64Flag{Name: "vocab", Usage: "custom: rows of the embedding (no default)"},
		&cli.Int64Flag{Name: "context-length", Value: 32768, Usage: "custom: positions"},
		&cli.BoolFlag{Name: "tied", Usage: "custom: the head is the embedding"},
	}
}

func shapeOf(c *cli.Context) (models.Shape, error) {
	if name := c.String("shape"); name != "custom" {
		s, err := models.NamedShape(name)
		if err != nil {
			return s, usageError(err)
		}
		return s, nil
	}
	s := models.Shape{
		Hidden: c.Int64("hidden"), Intermediate: c.Int64("intermediate"), Layers: c.Int64("layers"),
		Heads: c.Int64("heads"), KVHeads: c.Int64("kv-heads"), Vocab: c.Int64("vocab"),
		Context: c.Int64("context-length"), Tied: c.Bool("tied"), RopeTheta: 1e6, RMSEps: 1e-6,
	}
	if s.KVHeads == 0 {
		s.KVHeads = s.Heads
	}
	if err := s.Validate(); err != nil {
		return s, usageError(fmt.Errorf("custom shape: %w", err))
	}
	return s, nil
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
