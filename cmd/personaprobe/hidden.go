package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"personaprobe/experiment"
	"personaprobe/hidden"
	"personaprobe/models/tiny"
)

func newHiddenCommand() *cli.Command {
	return &cli.Command{
		Name:  "hidden",
		Usage: "read hidden states, and compare personas by them or by output distributions",
		Description: `Layers have 0-based indices, and a layer's state is its output: layer 15 is
model.model.layers[15] and hidden_states[16] of transformers, l_out-15 of llama.cpp.
docs/hidden.md has the files, positions and definitions.`,
		Subcommands: []*cli.Command{
			newHiddenExtractCommand(),
			newHiddenCentroidsCommand(),
			newHiddenCosineCommand(),
			newHiddenDistanceCommand(),
		},
	}
}

// GridOptions are the flags that choose personas and questions.
type GridOptions struct {
	Personas      string
	QuestionsFile string
	Questions     int
}

func (o *GridOptions) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "personas", Usage: "taxonomy `FILE`, for every persona with every question (default: the embedded one)", Destination: &o.Personas},
		&cli.StringFlag{Name: "questions-file", Usage: "`FILE` of questions (default: the embedded ones)", Destination: &o.QuestionsFile},
		&cli.IntFlag{Name: "questions", Usage: "how many of the questions, from the first (default: all)", Destination: &o.Questions},
	}
}

// read reads the personas, each prompt once (sources, then bystanders, grouped by
// category), and the questions, which are called q0, q1, ...
func (o *GridOptions) read() (personas, questions []hidden.Text, err error) {
	t, err := experiment.ParseTaxonomy("embedded taxonomy.json", tiny.Taxonomy())
	if o.Personas != "" {
		t, err = experiment.ReadTaxonomy(o.Personas)
	}
	if err != nil {
		return nil, nil, err
	}
	q, err := experiment.ParseQuestions("embedded questions.json", tiny.Questions())
	if o.QuestionsFile != "" {
		q, err = experiment.ReadQuestions(o.QuestionsFile)
	}
	if err != nil {
		return nil, nil, err
	}
	if o.Questions < 0 || o.Questions > len(q.Texts) {
		return nil, nil, usageError(fmt.Errorf("--questions is %d, there are %d", o.Questions, len(q.Texts)))
	}
	for _, p := range t.Distinct() {
		group := p.Category
		if group == "" {
			group = "source"
		}
		personas = append(personas, hidden.Text{Name: p.ID, Text: p.Prompt, Group: group})
	}
	for i, text := range q.Texts {
		if o.Questions == 0 || i < o.Questions {
			questions = append(questions, hidden.Text{Name: fmt.Sprintf("q%d", i), Text: text})
		}
	}
	return personas, questions, nil
}

// TableOptions are the flags of verbs that end with a table of pairs.
type TableOptions struct {
	To      []string
	Leakage string
	Format  string
	Output  string

	OtherModel bool
}

func (o *TableOptions) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "to", Usage: "compare all with these `NAMES` only, comma-separated (default: each with each)"},
		&cli.StringFlag{Name: "leakage", Usage: "correlate with the marker's leakage: run `DIRECTORY`, or CSV file with persona, source and rate, or found and total", Destination: &o.Leakage},
		otherModelFlag(&o.OtherModel),
		oneOf(&cli.StringFlag{Name: "format", Value: "text", Usage: "`FORMAT` of the table: text, csv or json", Destination: &o.Format}, "text", "csv", "json"),
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the table to a `FILE`", Destination: &o.Output},
	}
}

// check reports wrong flags before work starts, and reads the leakage.
func (o *TableOptions) check(c *cli.Context) ([]hidden.Leakage, error) {
	o.To = c.StringSlice("to")
	if !slices.Contains([]string{"text", "csv", "json"}, o.Format) {
		return nil, usageError(fmt.Errorf("--format is %q, want text, csv or json", o.Format))
	}
	if o.Leakage == "" {
		return nil, nil
	}
	if info, err := os.Stat(o.Leakage); err != nil || !info.IsDir() {
		return hidden.ReadLeakage(o.Leakage)
	}
	return leakageOf(o.Leakage)
}

// leakageOf are the bystanders' rates in a run, each with its source.
func leakageOf(dir string) ([]hidden.Leakage, error) {
	r, err := experiment.LoadResults(dir)
	if err != nil {
		return nil, err
	}
	var out []hidden.Leakage
	for _, source := range r.Study.Sources() {
		counts, shards := r.Counts(source)
		for _, p := range r.Study.Taxonomy.Personas(source) {
			if shards > 0 && p.Category != experiment.AnchorCategory {
				out = append(out, hidden.Leakage{Persona: p.ID, Source: source, Rate: counts[p.ID].Value()})
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s has no finished shard", experiment.ErrInput, dir)
	}
	return out, nil
}

// write writes the table, with correlations if there is leakage.
func (o *TableOptions) write(stdout io.Writer, t *hidden.Comparison, leakage []hidden.Leakage) error {
	if leakage != nil {
		var err error
		if t, err = t.WithLeakage(leakage); err != nil {
			return err
		}
	}
	write := t.WriteText
	switch o.Format {
	case "csv":
		write = t.WriteCSV
	case "json":
		write = t.WriteJSON
	}
	if o.Output == "" {
		return write(stdout)
	}
	return writeWhole(o.Output, write)
}
