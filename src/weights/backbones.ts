import { type Backbone, loadBackbones } from '../recipe/backbones.js';
import { selectRows } from '../recipe/select.js';
import { type FileRequest, fileOf } from './published.js';

/** The request for a published backbone. */
export function backboneRequest({ name, link, alternatives }: Backbone): FileRequest {
  const [wanted, ...others] = [link, ...alternatives].map((url) => fileOf(url)!);
  const row = selectRows({ all: true }).find(({ recipe }) => recipe.model.pretrained === name);
  const command = row === undefined ? null : `fcn weights fetch ${row.id} --backbone`;
  return { subject: `the backbone ${name}`, owner: { backbone: name }, files: [wanted!, ...others], command };
}

/** The requests for all published backbones. */
export async function backboneRequests(): Promise<FileRequest[]> {
  return (await loadBackbones()).map(backboneRequest);
}
