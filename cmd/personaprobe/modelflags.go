package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"personaprobe/engine"
	"personaprobe/experiment"
	"personaprobe/models"
	"personaprobe/models/tiny"
)

// ModelOptions are the flags that choose a model and its adapters.
type ModelOptions struct {
	Model    string
	Adapters []string // NAME=PATH
	Threads  int
	CPU      bool
	Backend  string
	Date     string // of the chat template's clock; "": now
}

func (o *ModelOptions) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "model", Aliases: []string{"m"}, Value: experiment.EmbeddedModel, Destination: &o.Model,
			Usage: "GGUF file or Hugging Face checkpoint `PATH`; \"tiny\" is the model inside the program"},
		&cli.StringSliceFlag{Name: "adapter", Aliases: []string{"a"},
			Usage: "`NAME=PATH` of a LoRA adapter, GGUF file or PEFT directory; may be repeated"},
		&cli.IntFlag{Name: "threads", Usage: "CPU threads (default: all cores)", Destination: &o.Threads},
		&cli.BoolFlag{Name: "cpu", Usage: "keep the model off the GPU", Destination: &o.CPU},
		oneOf(&cli.StringFlag{Name: "backend", Value: "auto", Destination: &o.Backend,
			Usage: "what computes on a GPU: \"native\" (our decoder for the Qwen2 family), \"llama\" (llama.cpp), or \"auto\": native where it applies and fits"},
			"auto", string(engine.BackendNative), string(engine.BackendLlama)),
		dateFlag(&o.Date),
	}
}

// backend is the engine's word for the flag's.
func (o *ModelOptions) backend() engine.Backend {
	if o.Backend == "auto" {
		return engine.BackendAuto
	}
	return engine.Backend(o.Backend)
}

// adapters splits the NAME=PATH flags.
func (o *ModelOptions) adapters() (map[string][]string, error) {
	out := map[string][]string{}
	for _, a := range o.Adapters {
		name, path, ok := strings.Cut(a, "=")
		if !ok || name == "" || path == "" {
			return nil, usageError(fmt.Errorf("--adapter %q: want NAME=PATH", a))
		}
		out[name] = append(out[name], path)
	}
	return out, nil
}

// engineOptions resolves the embedded model, too.
func (o *ModelOptions) engineOptions(c *cli.Context) (engine.Options, error) {
	o.Adapters = c.StringSlice("adapter")
	opts := engine.Options{Model: o.Model, Adapters: map[string]string{}, Threads: o.Threads, CPU: o.CPU,
		Backend: o.backend()}
	adapters, err := o.adapters()
	if err != nil {
		return opts, err
	}
	if o.Date != "" {
		if opts.Date, err = experiment.ParseDate(o.Date); err != nil {
			return opts, usageError(fmt.Errorf("--date: %w", err))
		}
	}
	if o.Model == experiment.EmbeddedModel {
		cache, err := models.CacheDir()
		if err != nil {
			return opts, err
		}
		files, err := tiny.Install(c.Context, cache)
		if err != nil {
			return opts, err
		}
		opts.Model, opts.Adapters = files.Model, files.Adapters
	}
	for name, paths := range adapters {
		if len(paths) > 1 {
			return opts, usageError(fmt.Errorf("--adapter %s is given %d times", name, len(paths)))
		}
		opts.Adapters[name] = paths[0]
	}
	return opts, nil
}
