package english

import "testing"

func TestPlural(t *testing.T) {
	for _, test := range []struct {
		n          int
		noun, want string
	}{{0, "source", "sources"}, {1, "source", "source"}, {2, "source", "sources"}, {1, "category", "category"}, {3,
		"category", "categories"}} {
		if got := Plural(test.n, test.noun); got != test.want {
			t.Errorf("Plural(%d, %q) = %q, want %q", test.n, test.noun, got, test.want)
		}
	}
	if Form(1, "is", "are") != "is" || Form(0, "is", "are") != "are" {
		t.Error("Form")
	}
}
