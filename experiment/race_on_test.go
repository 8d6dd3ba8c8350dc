//go:build race

package experiment

// The race detector makes memory and time ten times what they are.
const raceDetector = true
