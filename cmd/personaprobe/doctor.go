package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/cpu"

	llama "personaprobe/cgo"
	"personaprobe/models"
)

func newDoctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "show devices and CPU features, and say what is missing and how to get it",
		Action: func(c *cli.Context) error {
			if _, err := arguments(c); err != nil {
				return err
			}
			runDoctor(c.App.Writer)
			return nil
		},
	}
}

// runDoctor prints a line for each thing that a run depends on.
func runDoctor(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	row := func(what, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", what, fmt.Sprintf(format, args...)) }
	row("program", "%s, %s", version, runtime.Version())
	row("llama.cpp", "%s", llama.Revision)
	row("cores", "%d", runtime.NumCPU())
	row("CPU features", "%s", cpuFeatures())
	for _, line := range gpuReport() {
		row("GPU", "%s", line)
	}
	for _, d := range llama.Devices() {
		row("device", "%s: %s, %s free of %s", d.Name, d.Description, gib(d.Free), gib(d.Total))
	}
	dir, err := models.CacheDir()
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		row("cache", "%v; set PERSONAPROBE_CACHE to a directory that can be written", err)
	} else {
		row("cache", "%s", dir)
	}
}

// cpuFeatures says whether the CPU has what the native code was compiled for.
func cpuFeatures() string {
	if runtime.GOARCH != "amd64" {
		return runtime.GOARCH
	}
	if missing := missingFeatures(); len(missing) > 0 {
		return fmt.Sprintf("missing %v: this build needs x86-64-v3 (Haswell, Zen or later); build with CGO_CFLAGS=-march=x86-64", missing)
	}
	return "x86-64-v3 (AVX2, FMA, BMI2): as the build needs"
}

func missingFeatures() []string {
	var missing []string
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"AVX2", cpu.X86.HasAVX2}, {"FMA", cpu.X86.HasFMA}, {"BMI1", cpu.X86.HasBMI1}, {"BMI2", cpu.X86.HasBMI2},
	} {
		if !f.has {
			missing = append(missing, f.name)
		}
	}
	return missing
}

func gib(n uint64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
