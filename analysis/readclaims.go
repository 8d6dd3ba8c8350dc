package analysis

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Claims are published figures, as ReadClaims reads them.
type Claims struct {
	// Layer is what rows without a layer mean, as "layer_15" or "15". "": the only
	// layer of the data; if they have several, cosines without a layer are unavailable.
	Layer string

	claims []claim
}

// claim is one number that was published.
type claim struct {
	where    string
	kind     string // kindCosine, kindLeakage or kindStatistic
	subject  string // persona id, or JSON pointer
	source   string // of the persona; "" if its id is enough
	layer    string
	relation string
	value    float64
	percent  bool
	decimals int
}

const (
	kindCosine    = "cosine"
	kindLeakage   = "leakage"
	kindStatistic = "statistic"
)

var relations = []string{"=", "<", "<=", ">", ">="}

// ReadClaims reads published figures from CSV with a header, or from JSON: a list of
// objects, or an object with such lists under "rows", "claims" or "statistics". A row
// is either of a persona,
//
//	persona_id, and one or both of
//	cosine                 or published_cosine
//	leakage                a share, or "94.3%"; leakage_pct or published_leakage_pct: a percentage
//	source, layer          optional
//
// or of a statistic,
//
//	statistic              its place in full_analysis.json as a JSON pointer (RFC 6901),
//	                       such as /layers/layer_15/aggregate/spearman/rho, or with
//	                       dots, from the top or inside the layer: kendall_w.W,
//	                       aggregate.spearman.rho
//	value                  the number
//	relation               optional: =, <, <=, > or >=; "=" if not given
//
// with, optionally, decimals: to how many the number was rounded. Otherwise a
// statistic has those that it is written with. A column of personas' numbers has those
// of its longest, since programs drop trailing zeros: 0.8 beside 0.54 means 0.80.
func ReadClaims(path string) (*Claims, error) {
	rows, err := readTable(path, "rows", "claims", "statistics")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read claims: %w", err)
	}
	if err != nil {
		return nil, err
	}
	c := &Claims{}
	longest := make(map[string]int) // decimals by column
	var unknown []int               // claims that take them
	for _, row := range rows {
		claims, err := row.claims()
		if err != nil {
			return nil, err
		}
		for _, one := range claims {
			if one.kind != kindStatistic && row.fields["decimals"] == "" {
				longest[one.column()] = max(longest[one.column()], one.decimals)
				unknown = append(unknown, len(c.claims))
			}
			c.claims = append(c.claims, one)
		}
	}
	if len(c.claims) == 0 {
		return nil, fmt.Errorf("%w: %s has no claims", ErrInput, path)
	}
	for _, i := range unknown {
		c.claims[i].decimals = longest[c.claims[i].column()]
	}
	return c, nil
}

func (c claim) column() string { return c.kind + strconv.FormatBool(c.percent) }

// claims are those of one row.
func (r tableRow) claims() ([]claim, error) {
	statistic, persona := r.fields["statistic"], r.fields["persona_id"]
	switch {
	case statistic != "" && persona != "":
		return nil, fmt.Errorf("%w: %s has both a statistic and a persona_id; make it two rows", ErrInput, r.where)
	case statistic != "":
		c, err := r.claim(kindStatistic, "value")
		if err == nil && c == nil {
			err = fmt.Errorf("%w: %s: the statistic has no value", ErrInput, r.where)
		}
		if err != nil {
			return nil, err
		}
		c.subject = statistic
		return []claim{*c}, nil
	case persona == "":
		return nil, fmt.Errorf("%w: %s has neither a persona_id nor a statistic", ErrInput, r.where)
	}
	var out []claim
	for _, fields := range [][]string{{"cosine", "published_cosine"}, {"leakage", "leakage_rate", "leakage_pct", "published_leakage_pct"}} {
		var given []string
		for _, field := range fields {
			if r.fields[field] != "" {
				given = append(given, field)
			}
		}
		if len(given) > 1 {
			return nil, fmt.Errorf("%w: %s has both %s and %s; keep one", ErrInput, r.where, given[0], given[1])
		}
		for _, field := range given {
			kind := kindLeakage
			if strings.HasSuffix(field, "cosine") {
				kind = kindCosine
			}
			c, err := r.claim(kind, field)
			if err != nil {
				return nil, err
			}
			c.subject = persona
			out = append(out, *c)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s: want a cosine, a leakage or a leakage_pct of %s", ErrInput, r.where, persona)
	}
	return out, nil
}

// claim is the number in a field, or nil if the field is empty.
func (r tableRow) claim(kind, field string) (*claim, error) {
	c := &claim{where: r.where, kind: kind, source: r.fields["source"], layer: r.fields["layer"], relation: "="}
	text := strings.ReplaceAll(r.fields[field], "\u2212", "-") // typeset minus sign
	if kind == kindLeakage {
		var sign bool
		text, sign = strings.CutSuffix(text, "%")
		c.percent = sign || strings.HasSuffix(field, "_pct")
	}
	r.fields[field] = strings.TrimSpace(text)
	var given bool
	var err error
	if c.value, given, err = r.value(field); err != nil || !given {
		return nil, err
	}
	if relation := r.fields["relation"]; relation != "" {
		c.relation = relation
	}
	if !slices.Contains(relations, c.relation) {
		return nil, fmt.Errorf("%w: %s: relation is %q; want one of %s", ErrInput, r.where, c.relation, strings.Join(relations, " "))
	}
	c.decimals = decimals(r.fields[field])
	if text := r.fields["decimals"]; text != "" {
		if c.decimals, err = strconv.Atoi(text); err != nil || c.decimals < 0 || c.decimals > 300 {
			return nil, fmt.Errorf("%w: %s: decimals is %q; want a whole number from 0 to 300", ErrInput, r.where, text)
		}
	}
	return c, nil
}

// decimals is how many digits a number is written with behind the point: 1.25e-4 has 6.
func decimals(text string) int {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	_, digits, _ := strings.Cut(mantissa, ".")
	e, err := strconv.Atoi(exponent)
	if err != nil {
		e = 0
	}
	return max(0, len(digits)-e)
}

// holds reports whether the data bear the claim out. "=", "<=" and ">=" allow what
// rounding to the claim's decimals may have taken off, half of its last digit, and
// either rounding of an exact half: 0.7096 is at least 0.71 to two decimals. "<" and
// ">" leave no room, since 0.0504 is not below 0.05 in any rounding.
func (c claim) holds(data float64) bool {
	half := 0.5 * math.Pow(10, -float64(c.decimals))
	half += math.Max(1e-9*half, 1e-15*math.Abs(data))
	switch c.relation {
	case "<":
		return data < c.value
	case "<=":
		return data <= c.value+half
	case ">":
		return data > c.value
	case ">=":
		return data >= c.value-half
	}
	return math.Abs(c.value-data) <= half
}
