//go:build !plugins

package plugins

import "io/fs"

// embedded is nil: this build has no plugins inside.
var embedded fs.FS
