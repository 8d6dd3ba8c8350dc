package hidden

import (
	"encoding/json"
	"fmt"

	"personaprobe/models/safetensors"
)

// WriteCosineMatrices writes the cosine of every group with every group, for each
// layer the tensor cosine/L<L> (groups, groups) F32, with the names of the groups as
// JSON list under "rows" in the metadata. A group without a direction is an error that
// wraps ErrZeroNorm.
func WriteCosineMatrices(path string, r *Representation, on Centring) error {
	var arrays []safetensors.Array
	var names []string
	for k, layer := range r.Layers {
		centred, err := r.At(k, on)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInput, err)
		}
		matrix, err := centred.CosineMatrix()
		if err != nil {
			return fmt.Errorf("layer %d: %w", layer, err)
		}
		names = centred.names
		n := int64(len(names))
		values := make([]float32, 0, n*n)
		for _, row := range matrix {
			values = append(values, toFloat32(row)...)
		}
		arrays = append(arrays, safetensors.Array{Name: fmt.Sprintf("cosine/L%d", layer), Shape: []int64{n, n}, Values: values})
	}
	rows, err := json.Marshal(names)
	if err != nil {
		return err
	}
	if on == "" {
		on = CentreMean
	}
	return safetensors.Write(path, arrays, map[string]string{rowsKey: string(rows), "centring": string(on)})
}
