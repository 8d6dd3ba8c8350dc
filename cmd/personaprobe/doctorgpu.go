package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	llama "personaprobe/cgo"
	"personaprobe/cgo/cudalib"
)

// gpuReport says whether a GPU can be used, and if not what to do about it. It loads
// the plugins, so that the devices listed afterwards include the GPU.
func gpuReport() []string {
	dir, err := cudalib.FindDir()
	if err != nil {
		return []string{fmt.Sprintf("not used, everything runs on the CPU: %v", err)}
	}
	lines := []string{"plugins in " + dir}
	if !cudalib.HasDriver() {
		return append(lines, "no NVIDIA driver: "+cudalib.DriverLibrary+" is missing. It comes with the driver, version 580 or later; in a container, start that with --gpus all")
	}
	if missing := cudalib.PreloadHostLibraries(); len(missing) > 0 {
		return append(lines, fmt.Sprintf("cuBLAS is missing: %s. Install CUDA 13 or Python's nvidia-cublas, or set %s to the directory that has them",
			strings.Join(missing, ", "), cudalib.LibraryVariable))
	}
	lines = append(lines, kernelReport(dir))
	before := len(llama.Devices())
	llama.LoadBackends(dir)
	switch _, err := os.Stat(filepath.Join(dir, cudalib.GGMLFile)); {
	case err != nil:
		lines = append(lines, "llama.cpp cannot use the GPU: "+cudalib.GGMLFile+" is not there")
	case len(llama.Devices()) == before:
		lines = append(lines, "llama.cpp cannot use the GPU: "+cudalib.GGMLFile+" does not load on this system; it may need a newer C library, rebuild it here with make cuda")
	}
	return lines
}

// kernelReport opens our kernels and says on what they run.
func kernelReport(dir string) string {
	k, err := cudalib.OpenKernels(dir)
	if err != nil {
		return fmt.Sprintf("our kernels cannot be used: %v", err)
	}
	d, err := k.Device()
	switch {
	case errors.Is(err, cudalib.ErrDevice):
		return fmt.Sprintf("the driver does not answer: %v; see what nvidia-smi says", err)
	case err != nil:
		return err.Error()
	case d.Driver < d.Runtime:
		return fmt.Sprintf("%s: the driver knows CUDA %s, the plugins need %s; update the driver", d.Name, cudaVersion(d.Driver), cudaVersion(d.Runtime))
	}
	return fmt.Sprintf("%s, compute capability %d.%d, %s free of %s, driver for CUDA %s", d.Name, d.Major, d.Minor, gib(d.Free), gib(d.Total), cudaVersion(d.Driver))
}

// cudaVersion writes 13010 as 13.1.
func cudaVersion(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }
