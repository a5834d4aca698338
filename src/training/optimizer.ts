import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Kernels, MomentumStep } from '../kernels/kernels.js';
import type { Parameters } from '../network/parameters.js';
import type { TrainingRecipe } from '../recipe/experiment.js';

/**
 * SGD with momentum and weight decay as PyTorch's `torch.optim.SGD` (no dampening, no Nesterov), one group: decay applies
 * to batch norm and biases too. Each parameter moves as soon as its gradient is complete. Owns the velocities.
 */
export class MomentumOptimizer {
  private readonly velocities = new Map<string, Tensor>();

  constructor(
    private readonly tf: typeof tfjs,
    private readonly kernels: Kernels,
    private readonly parameters: Parameters,
  ) {}

  /** Moves one parameter; takes ownership of the gradient. */
  update(path: string, gradient: Tensor, step: MomentumStep): void {
    const parameter = this.parameters.get(path);
    const velocity = this.velocities.get(path) ?? this.tf.zerosLike(parameter);
    const next = this.kernels.momentumStep(parameter, gradient, velocity, step);
    this.parameters.replace(path, next.parameter);
    this.velocities.set(path, next.velocity);
  }

  /** The velocities by parameter path; the optimizer keeps owning them. */
  state(): ReadonlyMap<string, Tensor> {
    return this.velocities;
  }

  /** Sets a parameter's velocity, disposing the one before; takes ownership. */
  restore(path: string, velocity: Tensor): void {
    this.velocities.get(path)?.dispose();
    this.velocities.set(path, velocity);
  }

  dispose(): void {
    for (const velocity of this.velocities.values()) velocity.dispose();
    this.velocities.clear();
  }
}

/** Polynomial decay: (base − min)·(1 − i/max)^power + min, with iteration i from 0. */
export function learningRate(
  recipe: Pick<TrainingRecipe, 'learningRate' | 'minimumLearningRate' | 'power' | 'iterations'>,
  iteration: number,
): number {
  const { learningRate: base, minimumLearningRate: minimum, power, iterations } = recipe;
  return (base - minimum) * (1 - iteration / iterations) ** power + minimum;
}
