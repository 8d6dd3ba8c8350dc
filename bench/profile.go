package bench

import "personaprobe/engine"

// Profile is where a step's time goes.
type Profile struct {
	Rows     int    `json:"rows"`
	Parts    []Part `json:"parts"`
	Products string `json:"products,omitempty"` // what computes them, see engine.StepProfile
}

// Part is a part of a step. Those with Within are also counted in the part before.
type Part struct {
	Name         string  `json:"name"`
	Milliseconds float64 `json:"ms"`     // of a step
	Share        float64 `json:"share"`  // of the step
	Within       bool    `json:"within"` // of the part before
	Bytes        float64 `json:"bytes,omitempty"`
	Operations   float64 `json:"operations,omitempty"`
}

// llamaProfile divides the time of the engine on llama.cpp by its steps. The contexts
// step side by side, so that the time on the clock is each one's.
func llamaProfile(rows, contexts int, s spent) Profile {
	wall := s.wall.Seconds() * float64(contexts)
	p := Profile{Rows: rows}
	add := func(name string, seconds float64, within bool) {
		p.Parts = append(p.Parts, Part{Name: name, Milliseconds: seconds * 1e3 / float64(max(s.counts.Steps, 1)), Share: seconds / wall, Within: within})
	}
	t := s.counts.Times
	add("decode", t.Decoding.Seconds(), false)
	add("of it until the device has its work", t.Launching.Seconds(), true)
	add("prompts", t.Prompts.Seconds(), false)
	add("forks", t.Forks.Seconds(), false)
	add("sampling", t.Sampling.Seconds(), false)
	add("of it the kernel on the device", t.Kernel.Seconds(), true)
	add("scheduling, text, waiting", wall-(t.Decoding+t.Prompts+t.Forks+t.Sampling).Seconds(), false)
	return p
}

// nativeProfile lists the kinds of kernels of a native step.
func nativeProfile(s *engine.StepProfile) Profile {
	p := Profile{Rows: s.Rows, Products: s.Chosen}
	for _, k := range s.Kinds {
		p.Parts = append(p.Parts, Part{Name: k.Name, Milliseconds: k.Milliseconds, Share: k.Milliseconds / s.Step, Bytes: k.Bytes, Operations: k.Operations})
	}
	return p
}
