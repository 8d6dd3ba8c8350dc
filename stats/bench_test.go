package stats

import "testing"

// BenchmarkBootstrapSpearman resamples 200 personas 10,000 times, as one figure of
// the study does.
func BenchmarkBootstrapSpearman(b *testing.B) {
	x, y := newNormals(1).correlated(200, 0.7)
	for b.Loop() {
		if _, err := (Bootstrap{}).Spearman(x, y); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNestedMean resamples 40 personas of 20 questions 10,000 times.
func BenchmarkNestedMean(b *testing.B) {
	random := newNormals(1)
	clusters := make([][]float64, 40)
	for i := range clusters {
		clusters[i] = random.vector(20, random.next)
	}
	for b.Loop() {
		if _, err := (Bootstrap{}).NestedMean(clusters); err != nil {
			b.Fatal(err)
		}
	}
}
