// Command pack compresses the CUDA plugins for a release build.
//
//	go run ./cgo/plugins/pack build/cuda cgo/plugins/files
package main

import (
	"fmt"
	"os"

	"personaprobe/cgo/plugins"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack PLUGIN-DIRECTORY OUTPUT-DIRECTORY")
		os.Exit(2)
	}
	if err := plugins.Pack(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}
