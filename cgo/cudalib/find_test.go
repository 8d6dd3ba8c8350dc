package cudalib

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"personaprobe/cgo/plugins"
)

// Plugins in the working directory are code from whoever made it.
func TestFindDirDistrusts(t *testing.T) {
	if _, err := plugins.Dir(); !errors.Is(err, plugins.ErrNone) {
		t.Skip("plugins inside the program come first")
	}
	t.Setenv(DirVariable, "")
	t.Chdir(t.TempDir())
	if _, err := FindDir(); !errors.Is(err, ErrAbsent) {
		t.Fatalf("an empty directory: %v", err)
	}
	dir := filepath.Join("build", "cuda")
	file := filepath.Join(dir, KernelsFile)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(file, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if got, err := FindDir(); err != nil || got != dir {
		t.Errorf("the user's own: %s, %v", got, err)
	}
	refused := func(what, want string) {
		t.Helper()
		if _, err := FindDir(); !errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), DirVariable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, path := range []string{dir, file} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
		refused(path, "can be written by everybody")
		if err := os.Chmod(path, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("needs root to give files away")
	}
	for _, path := range []string{dir, file} {
		if err := os.Chown(path, 1, 1); err != nil {
			t.Fatal(err)
		}
		refused(path, "belongs to user 1")
		if err := os.Chown(path, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(DirVariable, dir)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if got, err := FindDir(); err != nil || got != dir {
		t.Errorf("named by the user: %s, %v", got, err)
	}
}

// CUDA's libraries never come from the working directory, unless LibraryVariable names it.
func TestLibraryDirsAreAbsolute(t *testing.T) {
	here := t.TempDir()
	t.Chdir(here)
	for _, dir := range []string{"lib/python3.12/site-packages/nvidia/cu13/lib", "lib64", "lib", "toolkit/lib64"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(LibraryVariable, "")
	for _, value := range []string{"", ".", "toolkit"} {
		for _, name := range []string{"VIRTUAL_ENV", "CONDA_PREFIX", "CUDA_HOME", "CUDA_PATH"} {
			t.Setenv(name, value)
		}
		for _, dir := range libraryDirs() {
			if !filepath.IsAbs(dir) {
				t.Errorf("with %q in the environment: searches %s", value, dir)
			}
		}
	}
	t.Setenv("VIRTUAL_ENV", here)
	want := filepath.Join(here, "lib/python3.12/site-packages/nvidia/cu13/lib")
	if dirs := libraryDirs(); !slices.Contains(dirs, want) {
		t.Errorf("an absolute VIRTUAL_ENV: %v lacks %s", dirs, want)
	}
}
