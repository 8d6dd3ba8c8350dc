package report

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"personaprobe/internal/english"
)

// counted is a count from full_analysis.json with its noun: "1 source", "5 sources".
func counted(n int, noun string, path ...string) phrase {
	return say(whole(n, "counts", path...), " ", english.Plural(n, noun))
}

// outOf is "2 of 5 sources".
func outOf(n, total int, noun string, path ...string) phrase {
	return say(whole(n, "counts", path...), " of ", whole(total, "counts", path...), " ", english.Plural(total, noun))
}

// capital makes the first letter upper case.
func capital(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[size:]
}

// listed is "a", "a and b", "a, b and c", or a number of them.
func listed(ids []string) string {
	if len(ids) > 8 {
		return grouped(float64(len(ids))) + " of them"
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = words(id)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// ends are those with the highest and with the lowest value, of a list in falling order;
// no lowest ones if all are equal.
func ends(order []string, value func(string) float64) (most, least []string) {
	if len(order) == 0 {
		return nil, nil
	}
	first, last := value(order[0]), value(order[len(order)-1])
	for _, name := range order {
		if value(name) == first {
			most = append(most, name)
		} else if value(name) == last {
			least = append(least, name)
		}
	}
	return most, least
}

// why is the reason for an undefined correlation of cosine and leakage, in words: the
// statistics know them as x and y.
func why(reason string) string {
	_, what, found := strings.Cut(reason, ": ")
	if !found {
		what = reason
	}
	return strings.NewReplacer("x is constant", "all cosines are the same", "y is constant",
		"all rates are the same").Replace(what)
}
