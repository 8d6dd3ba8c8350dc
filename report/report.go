package report

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"personaprobe/internal/sums"
)

// Options are the choices of a report. The zero value is the usual one.
type Options struct {
	// Layer is the decoder layer (0-based; its output) that figures and tables show.
	// nil: the study's, 15, or the one with the largest correlation if that was not read.
	Layer *int
	// OmitCompletions leaves the completions out of report.html, to make it small.
	OmitCompletions bool
	// Log takes warnings, such as of characters that a picture's font lacks. nil: none.
	Log *slog.Logger
}

// Validate reports options out of range.
func (o Options) Validate() error {
	if o.Layer != nil && *o.Layer < 0 {
		return fmt.Errorf("options: layer %d: layers count from 0", *o.Layer)
	}
	return nil
}

const (
	figuresDir   = "figures"
	htmlFile     = "report.html"
	markdownFile = "report.md"
)

// Write makes the report of an analysed directory, which it writes into: report.html,
// report.md, and every figure as figures/<name>.svg and figures/<name>.png. It returns
// their names inside dir. Each file appears whole or not at all; report.html comes last.
// The same artefacts give the same bytes. A directory without an analysis is an error
// that matches ErrNoAnalysis; what else is missing, the report says.
func Write(ctx context.Context, dir string, opts Options) ([]string, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	s, err := load(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	packed := &texts{}
	if !opts.OmitCompletions { // first: it adds to what is missing
		if packed, err = s.packCompletions(ctx); err != nil {
			return nil, err
		}
	}
	s.hasTexts = packed.catalogue.Total > 0
	figures := s.figures()
	files, err := writeFigures(ctx, dir, figures, opts.Log)
	if err != nil {
		return files, err
	}
	if err := s.writeMarkdown(figures); err != nil {
		return files, err
	}
	if err := s.writeHTML(figures, packed); err != nil {
		return files, err
	}
	return append(files, markdownFile, htmlFile), nil
}

// figures are those that the study has the data for, in the order of the report.
func (s *study) figures() []figure {
	var out []figure
	hasCosines := s.layerIndex() >= 0
	add := func(ok bool, drawn func() figure) {
		if ok {
			out = append(out, drawn())
		}
	}
	add(hasCosines, s.scatterBySource)
	add(hasCosines, s.scatterAggregate)
	add(len(s.categories) > 0, s.heatmap)
	add(len(s.categories) > 0, s.categoryBars)
	add(true, s.leakyDetail)
	add(len(s.anchors) > 0, s.crossLeakage)
	add(len(s.layers) > 1, s.layerCurve)
	add(len(s.shardPairs()) > 0, s.seedAgreement)
	add(s.cosines != nil, s.cosineMatrix)
	if note := s.incomplete(); note != "" {
		for i := range out {
			out[i].Caption += " " + note
		}
	}
	return out
}

// writeFigures writes every figure in both formats, and says in its caption what the
// picture's font lacks.
func writeFigures(ctx context.Context, dir string, figures []figure, log *slog.Logger) (files []string, err error) {
	folder := filepath.Join(dir, figuresDir)
	if err := os.MkdirAll(folder, 0o777); err != nil { // the umask decides, as for any output
		return nil, fmt.Errorf("make folder: %w", err)
	}
	b := sums.In(folder)
	defer b.Abort()
	for i, f := range figures {
		if err := ctx.Err(); err != nil {
			return files, err
		}
		vector, err := f.svg()
		if err != nil {
			return files, err
		}
		picture, lacking, err := f.png()
		if err != nil {
			return files, err
		}
		if len(lacking) > 0 {
			figures[i].lacking = lacking
			figures[i].Caption += " " + legend(lacking)
			if log != nil {
				log.Warn("the PNG's font lacks characters, which are numbered there; the SVG has them", "figure",
					f.Name+".png", "characters", lacking)
			}
		}
		for _, file := range []struct {
			name string
			data []byte
		}{{f.Name + ".svg", vector}, {f.Name + ".png", picture}} {
			if err := b.Add(file.name, file.data); err != nil {
				return files, err
			}
			files = append(files, figuresDir+"/"+file.name)
		}
	}
	return files, b.Commit()
}
