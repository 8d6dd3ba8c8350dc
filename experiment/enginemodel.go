package experiment

import "context"

// SHA256 is the hash of the model's file, as a manifest has it under model_sha256: that
// of the converted file for a checkpoint directory.
func (m *EngineModel) SHA256(ctx context.Context) (string, error) {
	f, err := hashed(ctx, m.Engine, m.Files().Model)
	return f.SHA256, err
}
