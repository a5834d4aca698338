import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor3D } from '@tensorflow/tfjs-core';
import type { ModelRecipe } from '../experiments/experiment.js';
import type { Kernels } from '../kernels/kernels.js';
import { type Architecture, architecture } from './architecture.js';
import { fcnHead } from './head.js';
import { initialValue } from './initialise.js';
import { type HeadLoss, headLoss } from './loss.js';
import { Parameters, parameterSpecs } from './parameters.js';
import type { TrainingPass } from './pass.js';
import { resnet } from './resnet.js';
import type { Value } from './tape.js';

/** The losses of one forward pass, as they are logged. */
export interface ForwardLosses {
  readonly decode: HeadLoss;
  readonly auxiliary: HeadLoss;
}

/** ResNet backbone with an FCN decode head and an auxiliary head, in training mode. Owns its parameters. */
export class Segmentor {
  readonly architecture: Architecture;
  readonly parameters: Parameters;

  constructor(
    private readonly tf: typeof tfjs,
    readonly kernels: Kernels,
    recipe: ModelRecipe,
  ) {
    this.architecture = architecture(recipe);
    this.parameters = new Parameters(parameterSpecs(this.architecture));
  }

  /** Gives every parameter its starting value (see `initialValue`). `pretrained` says whether a backbone is loaded afterwards. */
  initialise(seed: number, pretrained: boolean): void {
    const lastGammas = new Set(
      this.architecture.stages.flat().map((block) => `${block.units.at(-1)!.normPath}.weight`),
    );
    const zeroLastGamma = (path: string) => !pretrained && lastGammas.has(path);
    this.parameters.specs.forEach((spec, index) => {
      const values = initialValue(spec, index, { seed, zeroLastGamma });
      this.parameters.set(spec.path, this.tf.tensor(values, [...spec.shape], 'float32'));
    });
  }

  /** Both heads' logits of a batch of images [N,H,W,3], in training mode. */
  async logits(pass: TrainingPass, images: Value): Promise<{ decode: Value; auxiliary: Value }> {
    const { decodeHead, auxiliaryHead } = this.architecture;
    const stages = await resnet(pass, this.architecture, images);
    const decode = await fcnHead(pass, decodeHead, stages[decodeHead.input]!, 0);
    const auxiliary = await fcnHead(pass, auxiliaryHead, stages[auxiliaryHead.input]!, 1);
    return { decode, auxiliary };
  }

  /**
   * Forward pass with both losses, whose gradients are left on the tape: total = decode + auxiliary.
   * @param labels [N,H,W] int32.
   */
  async losses(pass: TrainingPass, images: Value, labels: Tensor3D, ignoreIndex: number): Promise<ForwardLosses> {
    const { decodeHead, auxiliaryHead, alignCorners } = this.architecture;
    const { decode, auxiliary } = await this.logits(pass, images);
    const options = { labels, ignoreIndex, alignCorners };
    const decodeLoss = headLoss(pass, decode, decodeHead.lossWeight, options);
    await pass.pause();
    const auxiliaryLoss = headLoss(pass, auxiliary, auxiliaryHead.lossWeight, options);
    await pass.pause();
    return { decode: decodeLoss, auxiliary: auxiliaryLoss };
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
