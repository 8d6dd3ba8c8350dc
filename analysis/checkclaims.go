package analysis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// CheckClaims compares published figures with an analysis. A claim whose number the
// analysis does not have is unavailable, with the reason; it counts neither way.
func CheckClaims(c *Claims, f *Full) (*ClaimsReport, error) {
	layer, err := f.findLayer(c.Layer)
	if err != nil && c.Layer != "" {
		return nil, fmt.Errorf("%w: check claims: %w", ErrInput, err)
	}
	k := &checker{full: f, layer: layer}
	out := &ClaimsReport{Layer: layer, Results: []ClaimResult{}}
	for _, one := range c.claims {
		r := k.check(one)
		out.Results = append(out.Results, r)
		out.count(r)
	}
	if k.err != nil {
		return nil, fmt.Errorf("check claims: %w", k.err)
	}
	return out, nil
}

func (r *ClaimsReport) count(result ClaimResult) {
	tally := map[string]*ClaimTally{kindCosine: &r.Cosine, kindLeakage: &r.Leakage, kindStatistic: &r.Statistics}[result.Kind]
	r.Checked++
	switch result.Verdict {
	case Agrees:
		r.Agree++
		tally.Agree++
	case Disagrees:
		r.Disagree++
		tally.Disagree++
	default:
		r.Unavailable++
		tally.Unavailable++
	}
}

// findLayer is the key in f.Layers that "layer_15" or "15" means, or with "" the only
// one.
func (f *Full) findLayer(name string) (string, error) {
	var names []string
	for key := range f.Layers.All() {
		if key == name || key == "layer_"+name {
			return key, nil
		}
		names = append(names, key)
	}
	switch {
	case len(names) == 0:
		return "", errors.New("the data have no cosines")
	case name != "":
		return "", fmt.Errorf("the data have no layer %q; they have %s", name, strings.Join(names, ", "))
	case len(names) > 1:
		return "", fmt.Errorf("the claim names no layer and the data have %s", strings.Join(names, ", "))
	}
	return names[0], nil
}

type checker struct {
	full  *Full
	layer string
	tree  any // full as JSON, once a statistic asks for it
	err   error
}

func (k *checker) check(c claim) ClaimResult {
	out := ClaimResult{
		Where: c.where, Kind: c.kind, Subject: c.subject, Relation: c.relation,
		Claimed: c.value, Percent: c.percent, Decimals: c.decimals, Verdict: Unavailable,
	}
	var data float64
	var err error
	switch c.kind {
	case kindStatistic:
		data, err = k.named(c)
	case kindLeakage:
		data, err = k.leakage(c)
	default:
		out.Layer, data, err = k.cosine(c)
	}
	if err != nil {
		out.Reason = err.Error()
		return out
	}
	if c.percent {
		data *= 100
	}
	difference := c.value - data
	out.Data, out.Difference, out.Verdict = &data, &difference, Disagrees
	if c.holds(data) {
		out.Verdict = Agrees
	}
	return out
}

func (k *checker) persona(c claim) (*Persona, error) {
	var found *Persona
	for i, p := range k.full.Personas {
		if p.ID != c.subject || c.source != "" && p.Source != c.source {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%s occurs under several sources; give the source", c.subject)
		}
		found = &k.full.Personas[i]
	}
	if found == nil {
		return nil, fmt.Errorf("the data have no persona %s%s", c.subject, under(c.source))
	}
	return found, nil
}

func under(source string) string {
	if source == "" {
		return ""
	}
	return " of source " + source
}

func (k *checker) leakage(c claim) (float64, error) {
	p, err := k.persona(c)
	if err != nil {
		return 0, err
	}
	if p.Rate == nil {
		return 0, fmt.Errorf("%s has no leakage rate", p.ID)
	}
	return *p.Rate, nil
}

func (k *checker) cosine(c claim) (layer string, data float64, err error) {
	layer = k.layer
	if c.layer != "" || layer == "" {
		if layer, err = k.full.findLayer(c.layer); err != nil {
			return "", 0, err
		}
	}
	p, err := k.persona(c)
	if err != nil {
		return layer, 0, err
	}
	v, _ := p.Cosines.Get(layer)
	if v == nil {
		return layer, 0, fmt.Errorf("%s has no cosine at %s", p.ID, layer)
	}
	return layer, *v, nil
}

// named finds a statistic by its JSON pointer, or by such a name as kendall_w.W, from
// the top or inside the claim's layer.
func (k *checker) named(c claim) (float64, error) {
	if strings.HasPrefix(c.subject, "/") {
		return k.statistic(c.subject)
	}
	pointer := "/" + strings.ReplaceAll(c.subject, ".", "/")
	data, err := k.statistic(pointer)
	if err == nil {
		return data, nil
	}
	layer := k.layer
	if c.layer != "" {
		layer = c.layer
	}
	if key, problem := k.full.findLayer(layer); problem == nil {
		if data, inside := k.statistic("/layers/" + key + pointer); inside == nil {
			return data, nil
		}
	}
	return 0, err
}

// statistic follows a JSON pointer (RFC 6901) into full_analysis.json.
func (k *checker) statistic(pointer string) (float64, error) {
	if k.tree == nil {
		data, err := encode(k.full)
		if err == nil {
			decoder := json.NewDecoder(bytes.NewReader(data))
			err = decoder.Decode(&k.tree)
		}
		if err != nil {
			k.err = err
			return 0, err
		}
	}
	at, reason := k.tree, ""
	for _, token := range strings.Split(pointer[1:], "/") {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch node := at.(type) {
		case map[string]any:
			next, ok := node[token]
			if !ok {
				return 0, fmt.Errorf("there is no %q there; there are %s", token, list(slices.Sorted(maps.Keys(node))))
			}
			at = next
			reason, _ = node["reason"].(string)
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(node) {
				return 0, fmt.Errorf("there is no element %q in a list of %d", token, len(node))
			}
			at = node[i]
		default:
			return 0, fmt.Errorf("there is nothing inside a number or text, so no %q", token)
		}
	}
	switch v := at.(type) {
	case float64:
		return v, nil
	case nil:
		if reason != "" {
			return 0, fmt.Errorf("it is null: %s", reason)
		}
		return 0, errors.New("it is null in the analysis")
	}
	return 0, errors.New("it is no number")
}
