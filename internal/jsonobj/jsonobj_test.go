package jsonobj

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	members, err := Parse([]byte(` {"b": [1, {"x": 1, "x": 2}], "a": "t", "": null} `))
	if err != nil || len(members) != 3 || members[0].Key != "b" || members[1].Key != "a" || string(members[1].Value) != `"t"` {
		t.Errorf("%v, %v", members, err)
	}
	if members, err := Parse([]byte("{}")); err != nil || len(members) != 0 {
		t.Errorf("%v, %v", members, err)
	}
	for text, want := range map[string]string{
		``: "EOF", `[]`: "not an object", `{"a":1,"a":1}`: `"a" occurs twice`, `{"a":1,"\u0061":1}`: "twice", `{"a"}`: "a", `{"a":1`: "JSON",
		`{"a":1} {}`: "after its end", `{"a":1}x`: "after its end", `{a:1}`: "JSON", `null`: "not an object", `{"a":tru}`: "a",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", text, err, want)
		}
	}
}
