// Package sumstest damages files, each in every way that a reader must notice.
package sumstest

import (
	"bytes"
	"os"
	"testing"
)

// Damaged calls try with a file damaged in one way after another, and puts it back. Another
// is the file that takes its place once; "" for none.
func Damaged(t *testing.T, path, another string, try func(t *testing.T)) {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(at int) []byte {
		data := bytes.Clone(whole)
		data[at] ^= 1
		return data
	}
	damages := map[string][]byte{
		"first byte": flipped(0), "in the middle": flipped(len(whole) / 2), "last byte": flipped(len(whole) - 1),
		"truncated": whole[:len(whole)/2], "without its last byte": whole[:len(whole)-1], "empty": {},
		"extended": append(bytes.Clone(whole), '\n'),
	}
	if another != "" {
		if damages["swapped"], err = os.ReadFile(another); err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(damages["swapped"], whole) {
			t.Fatalf("%s and %s are equal", path, another)
		}
	}
	for what, data := range damages {
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		t.Run(what, try)
	}
	if err := os.WriteFile(path, whole, 0o666); err != nil {
		t.Fatal(err)
	}
}
