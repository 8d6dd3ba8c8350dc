package analysis

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestEveryNumberIsDefined looks for every field of full_analysis.json that has a
// number, and every column of the tables, in docs/statistics.md.
func TestEveryNumberIsDefined(t *testing.T) {
	data, err := os.ReadFile("../docs/statistics.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	names := numberFields(reflect.TypeFor[Full](), map[reflect.Type]bool{})
	f := analyse(t, smallDesign().write(t), quick)
	for _, table := range []table{f.personaTable(), f.seedTable()} {
		for _, c := range table.columns {
			if c.kind != textType {
				names = append(names, strings.Replace(c.name, "cosine_layer_15", "cosine_layer_<L>", 1))
			}
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("`%s` is not defined", name)
		}
	}
}

// numberFields are the JSON names of numbers, and of what contains one, in a type.
func numberFields(typ reflect.Type, seen map[reflect.Type]bool) []string {
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return numberFields(typ.Elem(), seen)
	case reflect.Struct:
	default:
		return nil
	}
	if seen[typ] {
		return nil
	}
	seen[typ] = true
	var out []string
	for i := range typ.NumField() {
		field := typ.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		inner := field.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice || inner.Kind() == reflect.Map {
			inner = inner.Elem()
		}
		switch inner.Kind() {
		case reflect.String, reflect.Bool:
		default:
			if name != "" {
				out = append(out, name)
			}
		}
		out = append(out, numberFields(field.Type, seen)...)
	}
	return out
}
