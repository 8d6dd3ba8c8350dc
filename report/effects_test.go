package report

import (
	"strings"
	"testing"

	"personaprobe/experiment"
)

func studyWithEffects(effects map[string]experiment.AdapterEffect) *study {
	plan := experiment.DefaultPlan()
	t := &experiment.Taxonomy{Categories: []string{"c"}}
	for _, id := range []string{"villain", "comedian"} {
		t.Sources = append(t.Sources, experiment.Source{ID: id, Prompt: "You are a " + id + "."})
		t.Bystanders = append(t.Bystanders, experiment.Persona{ID: "b_" + id, Source: id, Category: "c", Prompt: "You are near a " + id + "."})
	}
	plan.NumQuestions = 1
	run, err := experiment.NewStudy(plan, t, &experiment.Questions{Texts: []string{"Why?"}})
	if err != nil {
		panic(err)
	}
	return &study{results: &experiment.Results{Study: run, Manifest: experiment.Manifest{Effects: effects}}}
}

// A row for every adapter, in the study's order, that says where the figures are; and a
// caveat that names those that do nothing or are copies.
func TestEffects(t *testing.T) {
	effects := map[string]experiment.AdapterEffect{
		"villain":  {KLMean: 0.0042, KLMax: 0.0227, Prompts: 8},
		"comedian": {KLMean: 1e-8, KLMax: 1.4e-7, Prompts: 8},
	}
	s := studyWithEffects(effects)
	rows := s.effectsTable().Rows
	if len(rows) != 2 || rows[0].Cells[0].Text != "villain" || rows[0].Cells[2].plain() != "0.023" || rows[1].Cells[2].plain() != "1.4 × 10⁻⁷" {
		t.Errorf("rows are %+v", rows)
	}
	if at := rows[0].Cells[2].Number.At.String(); at != "manifest.json /adapter_effects/villain/kl_max" {
		t.Errorf("the figure is at %s", at)
	}
	c := s.idleAdapters()
	if c == nil || !strings.Contains(c.Text.String(), "comedian moves the next token by 1.4 × 10⁻⁷ nats") || strings.Contains(c.Text.String(), "villain") {
		t.Errorf("caveat %v", c)
	}
	effects["comedian"] = experiment.AdapterEffect{KLMean: 0.0042, KLMax: 0.0227, Prompts: 8, SameAs: "villain"}
	if c := s.idleAdapters(); c == nil || !strings.Contains(c.Text.String(), "comedian predicts the same as villain") {
		t.Errorf("caveat %v", c)
	}
	delete(effects, "comedian")
	if c := s.idleAdapters(); c != nil || len(s.effectsTable().Rows) != 1 {
		t.Errorf("caveat %v", c)
	}
	for _, s := range []*study{{}, studyWithEffects(nil)} { // no run; a run of an older build
		if c := s.idleAdapters(); c != nil || len(s.effectsTable().Rows) != 0 {
			t.Errorf("caveat %v", c)
		}
	}
}
