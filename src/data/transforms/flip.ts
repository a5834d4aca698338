/** Mirrors rows left to right, in place: `data` is [height, width, channels]. */
export function flipHorizontally(data: Uint8Array, width: number, channels: 1 | 3): void {
  const rowValues = width * channels;
  for (let base = 0; base < data.length; base += rowValues) {
    for (let left = base, right = base + rowValues - channels; left < right; left += channels, right -= channels) {
      for (let channel = 0; channel < channels; channel++) {
        const swapped = data[left + channel]!;
        data[left + channel] = data[right + channel]!;
        data[right + channel] = swapped;
      }
    }
  }
}
