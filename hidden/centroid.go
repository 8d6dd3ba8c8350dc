package hidden

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// ErrState marks a hidden state that cannot be used: of the wrong width, not
// finite, missing or given twice.
var ErrState = errors.New("bad hidden state")

// Group is what one centroid is the mean of: Size states, numbered from 0. In the
// study a group is a persona and its states are those of the questions.
type Group struct {
	Name string // row name, unique among the groups
	Size int    // number of states, at least 1
}

// Accumulator sums states into group means. The means have the same bits whatever
// the order of arrival: a state that comes before its predecessors waits in a copy,
// so memory grows with the disorder and not with the number of states. It is not
// safe for concurrent use.
type Accumulator struct {
	groups  []Group
	layers  int
	width   int
	sums    [][]float64       // [layer], (groups, width) row-major
	next    []int             // per group: the first member not yet summed
	waiting []map[int]*states // per group: members that came early
}

// states are one prompt's vectors, [layer][width].
type states [][]float32

// NewAccumulator prepares the means of groups for a number of layers and vectors of
// width components.
func NewAccumulator(groups []Group, layers, width int) (*Accumulator, error) {
	if layers < 1 || width < 1 {
		return nil, fmt.Errorf("centroids need at least one layer and one component, have %d and %d", layers, width)
	}
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.Name
		if g.Size < 1 {
			return nil, fmt.Errorf("group %q has %d states, want at least 1", g.Name, g.Size)
		}
	}
	if err := checkNames(names); err != nil {
		return nil, err
	}
	a := &Accumulator{
		groups: slices.Clone(groups), layers: layers, width: width,
		sums: make([][]float64, layers), next: make([]int, len(groups)),
		waiting: make([]map[int]*states, len(groups)),
	}
	for k := range a.sums {
		a.sums[k] = make([]float64, len(groups)*width)
	}
	return a, nil
}

// Add takes the states of one member of one group: vectors[k] is layer number k of
// the accumulator, with width components. The vectors are not kept. Errors wrap
// ErrState and leave the accumulator as it was.
func (a *Accumulator) Add(group, member int, vectors [][]float32) error {
	if group < 0 || group >= len(a.groups) {
		return fmt.Errorf("%w: group %d of %d", ErrState, group, len(a.groups))
	}
	g := a.groups[group]
	switch _, waits := a.waiting[group][member]; {
	case member < 0 || member >= g.Size:
		return fmt.Errorf("%w: %s has %d states, got number %d", ErrState, g.Name, g.Size, member)
	case member < a.next[group] || waits:
		return fmt.Errorf("%w: number %d of %s was given twice", ErrState, member, g.Name)
	}
	if err := a.check(g.Name, member, vectors); err != nil {
		return err
	}
	if member > a.next[group] {
		a.keep(group, member, vectors)
		return nil
	}
	a.sum(group, vectors)
	for early, ok := a.waiting[group][a.next[group]]; ok; early, ok = a.waiting[group][a.next[group]] {
		delete(a.waiting[group], a.next[group])
		a.sum(group, *early)
	}
	return nil
}

func (a *Accumulator) check(name string, member int, vectors [][]float32) error {
	if len(vectors) != a.layers {
		return fmt.Errorf("%w: number %d of %s has %d layers, want %d", ErrState, member, name, len(vectors), a.layers)
	}
	for k, v := range vectors {
		if len(v) != a.width {
			return fmt.Errorf("%w: number %d of %s, layer number %d: width %d, want %d", ErrState, member, name, k, len(v), a.width)
		}
		for i, x := range v {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				return fmt.Errorf("%w: number %d of %s, layer number %d: component %d is %v", ErrState, member, name, k, i, x)
			}
		}
	}
	return nil
}

// keep copies states that came before an earlier member of their group.
func (a *Accumulator) keep(group, member int, vectors [][]float32) {
	early := make(states, a.layers)
	for k, v := range vectors {
		early[k] = slices.Clone(v)
	}
	if a.waiting[group] == nil {
		a.waiting[group] = make(map[int]*states)
	}
	a.waiting[group][member] = &early
}

// sum adds the group's next member.
func (a *Accumulator) sum(group int, vectors [][]float32) {
	for k, v := range vectors {
		row := a.sums[k][group*a.width:][:a.width]
		for i, x := range v {
			row[i] += float64(x)
		}
	}
	a.next[group]++
}

// Centroids gives the groups' means, one value per layer in the order of Add's
// vectors, with the groups as rows. It is an error, wrapping ErrState, if a member
// was not given.
func (a *Accumulator) Centroids() ([]*Centroids, error) {
	names := make([]string, len(a.groups))
	for i, g := range a.groups {
		if a.next[i] < g.Size {
			return nil, fmt.Errorf("%w: number %d of %s is missing", ErrState, a.next[i], g.Name)
		}
		names[i] = g.Name
	}
	layers := make([]*Centroids, a.layers)
	for k, sums := range a.sums {
		data := make([]float64, len(sums))
		for i, s := range sums {
			data[i] = s / float64(a.groups[i/a.width].Size)
		}
		layers[k] = &Centroids{names: names, width: a.width, data: data}
	}
	return layers, nil
}

// Centroids are the named vectors of one layer, shape (rows, width). They do not
// change once made.
type Centroids struct {
	names []string
	width int
	data  []float64 // row-major
}

// NewCentroids wraps rows of equal width; data is row-major with len(names) rows and
// is kept, not copied. Components must be finite.
func NewCentroids(names []string, data []float64) (*Centroids, error) {
	if err := checkNames(names); err != nil {
		return nil, err
	}
	if len(data) == 0 || len(data)%len(names) != 0 {
		return nil, fmt.Errorf("%d components do not make %d rows of equal width", len(data), len(names))
	}
	width := len(data) / len(names)
	for i, x := range data {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("%w: component %d of %s is %v", ErrState, i%width, names[i/width], x)
		}
	}
	return &Centroids{names: slices.Clone(names), width: width, data: data}, nil
}

func checkNames(names []string) error {
	if len(names) == 0 {
		return errors.New("centroids need at least one row")
	}
	seen := make(map[string]bool, len(names))
	for _, n := range names {
		if seen[n] {
			return fmt.Errorf("two centroids are called %q", n)
		}
		seen[n] = true
	}
	return nil
}

// Names are the row names, in order.
func (c *Centroids) Names() []string { return slices.Clone(c.names) }

// Width is the number of components of a row.
func (c *Centroids) Width() int { return c.width }

// Row is row i; the caller must not write to it.
func (c *Centroids) Row(i int) []float64 { return c.data[i*c.width:][:c.width:c.width] }

// Index is the number of the row called name.
func (c *Centroids) Index(name string) (int, error) {
	if i := slices.Index(c.names, name); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("no centroid is called %q", name)
}

// Rows are the rows called names, in this order.
func (c *Centroids) Rows(names ...string) (*Centroids, error) {
	if err := checkNames(names); err != nil {
		return nil, err
	}
	out := &Centroids{names: slices.Clone(names), width: c.width}
	for _, name := range names {
		i, err := c.Index(name)
		if err != nil {
			return nil, err
		}
		out.data = append(out.data, c.Row(i)...)
	}
	return out, nil
}

// Centring says what is subtracted from every row before cosines are taken: one of
// the two constants, or [CentreOn] a row.
type Centring string

// The mean over all rows is the study's choice. Raw hidden states share a large
// common part, which makes every cosine nearly 1.
const (
	CentreMean Centring = "global-mean" // the mean over all rows
	CentreNone Centring = "none"        // nothing
)

const centreRow = "source:"

// CentreOn subtracts the row called name and leaves that row out of the result: it
// would be zero and have no cosine.
func CentreOn(name string) Centring { return Centring(centreRow + name) }

// Centre gives the rows with the centre subtracted, and the centre itself (zeros for
// CentreNone). The empty Centring means CentreMean.
func (c *Centroids) Centre(on Centring) (centred *Centroids, centre []float64, err error) {
	centre = make([]float64, c.width)
	rows := c
	name, onRow := strings.CutPrefix(string(on), centreRow)
	switch {
	case on == CentreNone:
	case on == CentreMean || on == "":
		c.mean(centre)
	case onRow:
		i, err := c.Index(name)
		if err != nil {
			return nil, nil, fmt.Errorf("centre: %w", err)
		}
		copy(centre, c.Row(i))
		rows = c.without(i)
	default:
		return nil, nil, fmt.Errorf("centre %q: want %s, %s or %s<name>", on, CentreMean, CentreNone, centreRow)
	}
	data := make([]float64, len(rows.data))
	for i, x := range rows.data {
		data[i] = x - centre[i%c.width]
	}
	return &Centroids{names: rows.names, width: c.width, data: data}, centre, nil
}

// mean writes the mean over all rows.
func (c *Centroids) mean(centre []float64) {
	for i, x := range c.data {
		centre[i%c.width] += x
	}
	for i := range centre {
		centre[i] /= float64(len(c.names))
	}
}

func (c *Centroids) without(row int) *Centroids {
	return &Centroids{
		names: slices.Delete(slices.Clone(c.names), row, row+1), width: c.width,
		data: slices.Delete(slices.Clone(c.data), row*c.width, (row+1)*c.width),
	}
}
