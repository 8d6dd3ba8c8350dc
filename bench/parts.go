package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"personaprobe/engine"
)

// at measures one number of rows: the decode alone, the engine, and the decode alone
// again, so that a device that changes its pace shows.
func (r *run) at(ctx context.Context, rows int) error {
	if err := r.e.Reserve(rows, r.Prompt+r.length()); err != nil {
		return err
	}
	if r.native {
		return r.atNative(ctx, rows)
	}
	before, err := r.alone(ctx, rows)
	if err != nil {
		return err
	}
	m, s, err := r.engine(ctx, rows)
	if err != nil {
		return err
	}
	after, err := r.alone(ctx, rows)
	if err != nil {
		return err
	}
	bare := before
	bare.Rate = (before.Rate + after.Rate) / 2
	bare.PerCPU = (before.PerCPU + after.PerCPU) / 2
	bare.Milliseconds = float64(rows) / bare.Rate * 1e3
	m.OfBare = m.Rate / bare.Rate
	if r.roof != nil {
		bare.setRoof(float64(rows) / r.roof.step(rows, r.Context))
		m.setRoof(bare.Roof)
	}
	r.add(m, bare)
	if r.Profile {
		r.report.Profiles = append(r.report.Profiles, llamaProfile(rows, r.e.Options().Contexts, s))
	}
	return nil
}

func (m *Measurement) setRoof(rate float64) { m.Roof, m.OfRoof = rate, m.Rate/rate }

// stepTime is the time of one step, in ms, of contexts that step side by side.
func (r *run) stepTime(s spent) float64 {
	return s.wall.Seconds() * 1e3 * float64(r.e.Options().Contexts) / float64(s.counts.Steps)
}

// alone measures llama.cpp's decode on the engine's contexts.
func (r *run) alone(ctx context.Context, rows int) (Measurement, error) {
	used := cpuTime()
	rate, err := r.e.DecodeAlone(ctx, r.Adapter, r.Prompt, r.length())
	if err != nil {
		return Measurement{}, err
	}
	used = cpuTime() - used
	return Measurement{Name: nameBare, Rows: rows, Unit: "tok/s", Rate: rate, PerCPU: float64(rows*r.length()) / used.Seconds()}, nil
}

// perPrompt is how many completions each prompt has, about as many as in a study, so
// that whole rounds of the rows are whole prompts.
func perPrompt(rows int) int {
	for n := 32; n > 1; n-- {
		if rows%n == 0 {
			return n
		}
	}
	return 1
}

// waves lets the engine complete so many sequences, again and again. The first
// completions of an adapter pay for merging it, so a few come before.
func (r *run) waves(ctx context.Context, sequences, repeat int) (spent, error) {
	if _, err := r.synthetic(ctx, r.Adapter, 2, 1, 2); err != nil {
		return spent{}, err
	}
	n := perPrompt(sequences)
	return r.synthetic(ctx, r.Adapter, r.length(), n, repeat*sequences/n)
}

// engine measures the engine end to end on Repeat waves of the rows.
func (r *run) engine(ctx context.Context, rows int) (Measurement, spent, error) {
	s, err := r.waves(ctx, rows, r.Repeat)
	if err != nil {
		return Measurement{}, s, err
	}
	m := Measurement{Name: nameEngine, Rows: rows, Unit: "tok/s", Rate: s.rate(), Occupancy: s.counts.Occupancy(),
		PerCPU: float64(s.counts.Tokens) / s.cpu.Seconds()}
	m.Milliseconds = r.stepTime(s)
	return m, s, nil
}

// atNative is at for our own decoder, whose step and products can be replayed alone.
func (r *run) atNative(ctx context.Context, rows int) error {
	m, _, err := r.engine(ctx, rows)
	if err != nil {
		return err
	}
	p, err := r.e.ProfileStep(r.Context, 100)
	if err != nil {
		return err
	}
	step := Measurement{Name: nameStep, Rows: rows, Unit: "tok/s", Rate: float64(rows) / p.Step * 1e3, Milliseconds: p.Step}
	products := Measurement{Name: nameProducts, Rows: rows, Unit: "tok/s", Rate: float64(rows) / p.Products * 1e3, Milliseconds: p.Products}
	m.OfBare = m.Rate / step.Rate
	m.setRoof(products.Rate)
	step.setRoof(products.Rate)
	r.add(m, step, products)
	if r.Profile {
		r.report.Profiles = append(r.report.Profiles, nativeProfile(p))
	}
	return nil
}

// live measures the engine with fewer sequences than rows, in waves of them.
func (r *run) live(ctx context.Context) error {
	if len(r.Live) == 0 {
		return nil
	}
	rows := slices.Max(r.Rows)
	if err := r.e.Reserve(rows, r.Prompt+r.length()); err != nil {
		return err
	}
	for _, live := range r.Live {
		if live < 1 || live > rows {
			return fmt.Errorf("%w: %d live sequences in %d rows", engine.ErrOptions, live, rows)
		}
		s, err := r.waves(ctx, live, 1)
		if err != nil {
			return err
		}
		r.add(Measurement{Name: fmt.Sprintf(nameLive, live), Rows: rows, Unit: "tok/s", Rate: s.rate(), Occupancy: s.counts.Occupancy(),
			Milliseconds: r.stepTime(s)})
	}
	return nil
}

// prompts measures prompts that have one completion of one token each.
func (r *run) prompts(ctx context.Context) error {
	n := 16
	if r.roof != nil {
		n = 256
	}
	s, err := r.synthetic(ctx, "", 1, 1, n)
	if err != nil {
		return err
	}
	r.add(Measurement{Name: namePrompts, Unit: "tok/s", Rate: float64(s.counts.PromptTokens) / s.wall.Seconds(),
		Milliseconds: s.wall.Seconds() * 1e3 / float64(n)})
	return nil
}

// states measures the study's hidden-state job, with and without shared prefixes. A
// little of it comes before, to warm up.
func (r *run) states(ctx context.Context) error {
	if r.Personas < 0 {
		return nil
	}
	prompts, layers := study(r.Personas, r.e.Info().Layers)
	job := func(prompts [][]int32, noSharing bool) (float64, error) {
		start := time.Now()
		err := r.e.LastStates(ctx, prompts, engine.StateOptions{Layers: layers, NoSharing: noSharing},
			func(int, [][]float32) error { return nil })
		return time.Since(start).Seconds(), err
	}
	if _, err := job(prompts[:20], false); err != nil {
		return err
	}
	for _, noSharing := range []bool{false, true} {
		took, err := job(prompts, noSharing)
		if err != nil {
			return err
		}
		name := nameShared
		if noSharing {
			name = nameStates
		}
		r.add(Measurement{Name: name, Unit: "prompts/s", Rate: float64(len(prompts)) / took, Milliseconds: took * 1e3 / float64(len(prompts))})
	}
	return nil
}

// adapterSwitch is how much longer two tokens take after the adapter has changed, on
// average of ten changes, where adapters are merged into the weights; elsewhere a change
// costs nothing.
func (r *run) adapterSwitch(ctx context.Context) error {
	if r.Adapter == "" || !r.merged {
		return nil
	}
	const turns = 5
	change, last := 0.0, r.Adapter
	for range turns {
		for _, adapter := range []string{"", "", r.Adapter, r.Adapter} {
			s, err := r.synthetic(ctx, adapter, 2, 1, 1)
			if err != nil {
				return err
			}
			if adapter == last {
				change -= s.wall.Seconds() / (2 * turns)
			} else {
				change += s.wall.Seconds() / (2 * turns)
			}
			last = adapter
		}
	}
	r.add(Measurement{Name: nameSwitch, Unit: "switches/s", Rate: 1 / max(change, 1e-4), Milliseconds: max(change, 0) * 1e3})
	return nil
}
