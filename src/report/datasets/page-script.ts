/**
 * Script of the page of samples, which shows everything without it: the slider sets how much the labels cover, and the class
 * under the pointer is named, by the colour of the label map's pixel.
 */
export const PAGE_SCRIPT = `
const slider = document.getElementById('opacity');
const apply = () => document.documentElement.style.setProperty('--opacity', slider.value / 100);
slider.addEventListener('input', apply);
apply();

const names = new Map();
for (const [name, colour] of JSON.parse(document.getElementById('classes').textContent)) {
  names.set(colour, names.has(colour) ? names.get(colour) + ' or ' + name : name);
}
const pixels = new WeakMap();
const pixelsOf = (image) => {
  if (!pixels.has(image)) {
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    pixels.set(image, context.getImageData(0, 0, canvas.width, canvas.height));
  }
  return pixels.get(image);
};
for (const image of document.querySelectorAll('.labels')) {
  const output = image.parentElement.querySelector('output');
  const name = (event) => {
    const { data, width, height } = pixelsOf(image);
    const box = image.getBoundingClientRect();
    const inside = (place, size) => Math.min(Math.max(Math.floor(place * size), 0), size - 1);
    const x = inside((event.clientX - box.left) / box.width, width);
    const y = inside((event.clientY - box.top) / box.height, height);
    const at = 4 * (y * width + x);
    output.textContent = data[at + 3] === 0 ? 'ignored' : names.get(data.slice(at, at + 3).join(' ')) ?? '';
  };
  image.addEventListener('pointermove', name);
  image.addEventListener('pointerdown', name);
  image.addEventListener('pointerleave', () => { output.textContent = ''; });
}
`;
