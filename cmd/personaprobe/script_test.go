package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"personaprobe/internal/sums"
	"personaprobe/internal/tinytest"
	"personaprobe/models"
	"personaprobe/models/tiny"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"personaprobe": main})
}

// TestScript runs the command line as a user would; see testdata/script.
func TestScript(t *testing.T) {
	cache, err := models.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { t.Logf("%d bad inputs were tried", badCases.Load()) })
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PERSONAPROBE_CACHE", cache) // converted once for all scripts
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exit":    cmdExit,
			"oneline": cmdOneLine,
			"unpack":  func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(tiny.Unpack(ts.MkAbs(args[0]))) },
			"same":    cmdSame,
			"template": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(tinytest.SetTemplate(ts.MkAbs(args[0]), ts.ReadFile(args[1])))
			},
			"cut":     cmdCut,
			"bad":     cmdBad,
			"broken":  cmdBroken,
			"repeat":  cmdRepeat,
			"damaged": cmdDamaged,
		},
	})
}

// cmdExit runs a command and checks its exit code: exit 3 personaprobe run ...
func cmdExit(ts *testscript.TestScript, _ bool, args []string) {
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// cmdOneLine checks that the last command wrote one line to standard error.
func cmdOneLine(ts *testscript.TestScript, _ bool, _ []string) {
	text := ts.ReadFile("stderr")
	if lines := bytes.Count([]byte(text), []byte("\n")); lines != 1 {
		ts.Fatalf("%d lines on standard error:\n%s", lines, text)
	}
}

// cmdCut writes the first half of a file: cut IN OUT.
func cmdCut(ts *testscript.TestScript, _ bool, args []string) {
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data[:len(data)/2], 0o600))
}

// cmdSame compares the artefacts of two run directories, times and dates apart:
// [!] same A B.
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	a, b := artefacts(ts, args[0]), artefacts(ts, args[1])
	same := len(a) == len(b)
	for name, data := range a {
		if !bytes.Equal(data, b[name]) {
			same = false
			ts.Logf("%s differs", name)
		}
	}
	if same == neg {
		ts.Fatalf("%s and %s: same is %v", args[0], args[1], same)
	}
}

// artefacts reads the files of a run that promise to be reproducible.
func artefacts(ts *testscript.TestScript, dir string) map[string][]byte {
	out := map[string][]byte{}
	dir = ts.MkAbs(dir)
	ts.Check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		if err != nil || d.IsDir() || name == "progress.json" || filepath.Ext(name) == ".lock" || name == "manifest.json" {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && name == sums.Name {
			data, err = withoutHashes(filepath.Dir(path))
		}
		if err == nil && filepath.Ext(name) == ".json" {
			data, err = withoutTimes(data)
		}
		rel, _ := filepath.Rel(dir, path)
		out[rel] = data
		return err
	}))
	return out
}

// withoutHashes is the names that a folder's list has, if the hashes are right: those of
// files with times differ.
func withoutHashes(dir string) ([]byte, error) {
	list, err := sums.ReadList(dir)
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(list))
	return []byte(strings.Join(names, "\n")), sums.CheckAll(dir, names...)
}

// withoutTimes drops wall_minutes, gpu_hours and timestamp at any depth.
func withoutTimes(data []byte) ([]byte, error) {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, err
	}
	var drop func(any)
	drop = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			delete(v, "wall_minutes")
			delete(v, "gpu_hours")
			delete(v, "timestamp")
			for _, x := range v {
				drop(x)
			}
		case []any:
			for _, x := range v {
				drop(x)
			}
		}
	}
	drop(v)
	return json.Marshal(v)
}
