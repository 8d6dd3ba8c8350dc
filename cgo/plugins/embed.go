//go:build plugins

package plugins

import (
	"embed"
	"io/fs"
)

//go:embed files
var files embed.FS

// embedded holds the packed plugins.
var embedded = func() fs.FS {
	sub, err := fs.Sub(files, "files")
	if err != nil {
		panic(err) // "files" is a valid path
	}
	return sub
}()
