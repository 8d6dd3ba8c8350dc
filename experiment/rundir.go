package experiment

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrRunDir marks a run directory that cannot be used.
var ErrRunDir = errors.New("unusable run directory")

// CheckDir reports early, before a model is loaded, whether Run can work in dir: the
// error matches ErrRunDir. It leaves nothing behind.
func CheckDir(dir string) error {
	st, err := os.Stat(dir)
	switch {
	case err == nil && !st.IsDir():
		return fmt.Errorf("%w: %s is not a directory", ErrRunDir, dir)
	case err == nil:
	case errors.Is(err, os.ErrNotExist):
		for dir = filepath.Dir(dir); ; dir = filepath.Dir(dir) {
			if st, err := os.Stat(dir); err == nil {
				if !st.IsDir() {
					return fmt.Errorf("%w: %s is not a directory", ErrRunDir, dir)
				}
				break
			}
			if dir == filepath.Dir(dir) {
				return nil
			}
		}
	default:
		return fmt.Errorf("%w: %w", ErrRunDir, err)
	}
	f, err := os.CreateTemp(dir, ".personaprobe-*")
	if err != nil {
		return fmt.Errorf("%w: cannot write in %s: %w", ErrRunDir, dir, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
