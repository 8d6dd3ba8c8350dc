package experiment

import (
	"context"
	"testing"
	"time"

	"personaprobe/engine"
	"personaprobe/internal/tinytest"
)

// BenchmarkRenderPrompts renders a study of 225 personas and 20 questions, 4,500 prompts.
func BenchmarkRenderPrompts(b *testing.B) {
	t, shut, err := engine.OpenTokenizer(tinytest.Files(b).Model, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = shut() }()
	p := smallPlan()
	p.NumQuestions = 20
	study, err := NewStudy(p, makeTaxonomy(b, 5, 8, 5), makeQuestions(b, 20))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		prompts, err := RenderPrompts(context.Background(), study, t)
		if err != nil {
			b.Fatal(err)
		}
		if err := prompts.Close(); err != nil {
			b.Fatal(err)
		}
	}
	n := float64(len(study.Questions) * (len(study.Taxonomy.Sources) + len(study.Taxonomy.Bystanders)))
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "prompts/s")
}
