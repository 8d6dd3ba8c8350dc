package models

import (
	"fmt"

	"personaprobe/models/safetensors"
)

// CheckCheckpoint checks what Convert would refuse in a Hugging Face checkpoint directory, as
// far as it can be told without reading weights, and gives the model's shape. Errors are
// Convert's.
func CheckCheckpoint(dir string) (Shape, error) {
	if err := isCheckpoint(dir); err != nil {
		return Shape{}, err
	}
	shape, err := checkCheckpoint(dir)
	if err != nil {
		return shape, fmt.Errorf("check %s: %w", dir, err)
	}
	return shape, nil
}

func checkCheckpoint(dir string) (Shape, error) {
	config, err := readConfig(dir)
	if err != nil {
		return Shape{}, err
	}
	weights, err := safetensors.OpenDir(dir)
	if err != nil {
		return Shape{}, err
	}
	defer weights.Close()
	if _, err := plan(config.shape(), weights, TypeKeep); err != nil {
		return Shape{}, err
	}
	_, err = readTokenizer(dir, config.VocabSize)
	return config.shape(), err
}
