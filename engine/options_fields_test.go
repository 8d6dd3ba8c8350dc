package engine

import (
	"reflect"
	"testing"
)

// Every option is in what a manifest records, or is here with the reason why it changes no
// byte: a new one must be placed before it can be forgotten.
func TestEveryOptionIsAccountedFor(t *testing.T) {
	where := map[string]string{
		"Model":           "identity: the file's hash",
		"Adapters":        "identity: the files' hashes",
		"Slots":           "settings.rows where steps have a fixed number of rows; else no byte (TestSameBytesWhateverTheBatch)",
		"Contexts":        "as Slots: rows are those of a context",
		"Context":         "the length of the caches: no sum goes over unused cells",
		"Threads":         "no byte (TestSameBytesWhateverTheBatch)",
		"Chunk":           "settings.chunk",
		"CPU":             "identity: the device",
		"Backend":         "settings.backend",
		"RuntimeAdapters": "settings.adapters",
		"Kernels":         "settings: the library's hash",
		"Date":            "identity.date where the template reads the clock, and the hash of the prompts",
		"CacheDir":        "a place: the files' hashes count",
		"Progress":        "tells the caller only",
	}
	for field := range reflect.TypeFor[Options]().Fields() {
		if where[field.Name] == "" {
			t.Errorf("%s is new: say here, and in docs/determinism.md, where the manifest has it", field.Name)
		}
		delete(where, field.Name)
	}
	for name := range where {
		t.Errorf("%s is gone", name)
	}
}
