"""The training step on JAX: the same networks, losses, penalties and numbers as on TensorFlow.

For hosts whose GPU is not supported by TensorFlow's wheels. `KERAS_BACKEND=jax` must be set before Keras is
first imported. Checkpoints work on either backend.
"""

from __future__ import annotations

from typing import Any

import jax
import keras
import numpy as np
from jax import numpy as jnp

from pika_gan import losses
from pika_gan.config import Preset
from pika_gan.networks import base_of, halved, projected, upsampler
from pika_gan.schedule import Part, StepInputs
from pika_gan.state import GRADIENT_NORM_LIMIT, GanState

Values = dict[str, Any]
"""The arrays of a state, by the names of `GanState.variables`."""


class Gan(GanState):
    """The networks with compiled functions to train and to draw."""

    def __init__(self, preset: Preset, seed: int = 0) -> None:
        super().__init__(preset, seed)
        self._named = self.variables()
        self._names = {id(variable): name for name, variable in self._named.items()}
        self._step = jax.jit(self._step_body, static_argnames=("part", "with_penalty", "with_heads"))
        self._pairs = jax.jit(self._pairs_body)
        self._draw = jax.jit(lambda *values: self.ema.stateless_call(*values, training=False)[0])

    def update(
        self, inputs: StepInputs, *, part: Part, with_penalty: bool, with_heads: bool
    ) -> dict[str, Any]:
        """See `GanState.update`."""
        values = {name: variable.value for name, variable in self._named.items()}
        changed, figures = self._step(
            values, inputs, part=part, with_penalty=with_penalty, with_heads=with_heads
        )
        for name, value in changed.items():
            self._named[name].assign(value)
        return dict(figures)

    def _step_body(
        self, values: Values, inputs: StepInputs, *, part: Part, with_penalty: bool, with_heads: bool
    ) -> tuple[Values, dict[str, Any]]:
        num = self.preset.accumulate
        results = []
        for chunk in zip(*(jnp.split(array, num) for array in inputs[:3]), strict=True):
            pictures, latents, draws = chunk
            few = inputs._replace(pictures=pictures, latents=latents, draws=draws)
            *gradients, fixed, figures = self._gradients(values, few, part, with_penalty, with_heads)
            values = values | fixed  # batch-normalisation statistics
            results.append((*gradients, figures))
        for_generator, for_discriminator, for_heads, figures = jax.tree.map(
            lambda *each: sum(each) / num, *results
        )
        for (model, optimizer), gradients_of_model in zip(self.trained[part], for_generator, strict=True):
            values = self._applied(values, optimizer, gradients_of_model, model)
        discriminator = self.parts[part][1]
        values = self._applied(values, self.discriminator_optimizer, for_discriminator, discriminator)
        if for_heads:
            values = self._applied(values, self.heads_optimizer, for_heads, self.heads)
        for average, weight in self.ema_pairs():
            now, before = values[self._names[id(weight)]], values[self._names[id(average)]]
            values[self._names[id(average)]] = now + inputs.ema_decay * (before - now)
        return values, figures

    def _gradients(
        self, values: Values, inputs: StepInputs, part: Part, with_penalty: bool, with_heads: bool
    ) -> tuple[list[list[Any]], list[Any], list[Any], Values, dict[str, Any]]:
        """Return the gradients of `trained[part]`, discriminator and heads, changed state, and figures."""
        generator, discriminator = self.parts[part]
        real = inputs.pictures.astype("float32") / 127.5 - 1.0
        if part == "coarse":
            real = halved(real)
        num = real.shape[0]

        def drawn(trained: list[list[Any]]) -> tuple[Any, list[Any]]:
            fixed = self._of(values, generator.non_trainable_variables)
            fake, fixed = generator.stateless_call(
                [value for values_of_model in trained for value in values_of_model],
                fixed,
                inputs.latents,
                training=True,
            )
            return self.augmented(fake, inputs.draws[num:], inputs), fixed

        trained = [self._of(values, model.trainable_variables) for model, _ in self.trained[part]]
        fake_seen, back, fixed = jax.vjp(drawn, trained, has_aux=True)
        changed = self._named_values(generator.non_trainable_variables, fixed)
        real_seen = self.augmented(real, inputs.draws[:num], inputs)
        seen = jnp.concatenate([real_seen, fake_seen])
        wanted, for_discriminator, fixed, figures = self._criticise(
            values, seen, discriminator, inputs.penalty_weight if with_penalty else None
        )
        changed |= self._named_values(discriminator.non_trainable_variables, fixed)
        for_heads: list[Any] = []
        if with_heads:
            wish, for_heads, fixed, figures["heads_loss"] = self._project(values, real_seen, fake_seen)
            wanted = projected.combined(wanted, wish, self.preset.projected_ratio)
            changed |= self._named_values(self.heads.non_trainable_variables, fixed)
        return back(wanted)[0], for_discriminator, for_heads, changed, figures

    def learn_pairs(self, pictures: np.ndarray, noise: np.ndarray) -> Any:
        """See `GanState.learn_pairs`."""
        variables = [*self.upsampler.variables, *self.upsampler_optimizer.variables]
        names = {self._names[id(variable)] for variable in variables}
        changed, loss = self._pairs({name: self._named[name].value for name in names}, pictures, noise)
        for name, value in changed.items():
            self._named[name].assign(value)
        return loss

    def _pairs_body(self, values: Values, pictures: Any, noise: Any) -> tuple[Values, Any]:
        frozen: tuple[list[Any], list[Any]] = [], [v.value for v in self.eyes.non_trainable_variables]
        expected = pictures.astype("float32") / 127.5 - 1.0
        given = upsampler.noisy(halved(expected), noise)
        expected_maps, _ = self.eyes.stateless_call(*frozen, expected, training=False)

        def loss_of(trained: list[Any]) -> Any:
            received, _ = self.upsampler.stateless_call(trained, [], given, training=True)
            maps, _ = self.eyes.stateless_call(*frozen, received, training=False)
            return upsampler.pair_loss(received, expected, maps, expected_maps)

        loss, gradients = jax.value_and_grad(loss_of)(self._of(values, self.upsampler.trainable_variables))
        return self._applied(values, self.upsampler_optimizer, gradients, self.upsampler), loss

    def _project(
        self, values: Values, real_seen: Any, fake_seen: Any
    ) -> tuple[Any, list[Any], list[Any], Any]:
        """See `step_tensorflow.Gan._project`; also returns the heads' changed state."""
        eyes, heads = self.eyes, self.heads
        frozen: tuple[list[Any], list[Any]] = [], [v.value for v in eyes.non_trainable_variables]
        before = self._of(values, heads.non_trainable_variables)
        trained = self._of(values, heads.trainable_variables)

        def generator_loss(pictures: Any) -> tuple[Any, list[Any]]:
            maps, _ = eyes.stateless_call(*frozen, pictures, training=False)
            logits, _ = heads.stateless_call(trained, before, maps, training=False)
            return projected.generator_loss(logits), maps

        def heads_loss(trained: list[Any]) -> tuple[Any, list[Any]]:
            real_logits, fixed = heads.stateless_call(trained, before, real_maps, training=True)
            fake_logits, _ = heads.stateless_call(trained, fixed, fake_maps, training=False)
            return projected.heads_loss(real_logits, fake_logits), fixed

        wish, fake_maps = jax.grad(generator_loss, has_aux=True)(fake_seen)
        real_maps, _ = eyes.stateless_call(*frozen, real_seen, training=False)
        (loss, fixed), gradients = jax.value_and_grad(heads_loss, has_aux=True)(trained)
        return wish, gradients, fixed, loss

    def _criticise(
        self, values: Values, seen: Any, discriminator: keras.Model, penalty_weight: Any
    ) -> tuple[Any, list[Any], list[Any], dict[str, Any]]:
        """See `criticism.criticise`.

        Returns the generator's gradient on the pictures, the discriminator's gradients, its other variables'
        values, and the figures.
        """
        num, pair = seen.shape[0] // 2, self.preset.loss
        before = self._of(values, discriminator.non_trainable_variables)

        def judged(pictures: Any, trained: list[Any]) -> tuple[Any, tuple[Any, list[Any], list[Any]]]:
            logits, fixed, own = discriminator.stateless_call(
                trained, before, pictures, training=True, return_losses=True
            )
            return logits.sum(), (logits, fixed, own)

        def objective(trained: list[Any], pictures: Any) -> tuple[Any, tuple[Any, ...]]:
            penalties, input_gradients = {}, None
            if penalty_weight is None and pair not in losses.ONE_SIDED:
                _, (logits, fixed, own) = judged(pictures, trained)
            else:
                input_gradients, (logits, fixed, own) = jax.grad(judged, has_aux=True)(pictures, trained)
            if penalty_weight is not None:
                norms = losses.squared_gradient_norm(input_gradients)
                penalties = {"r1": norms[:num].mean(), "r2": norms[num:].mean()}
            adversarial = losses.DISCRIMINATOR[pair](logits[:num], logits[num:]).mean()
            total = adversarial + sum(own)
            if penalties:
                total += 0.5 * penalty_weight * (penalties["r1"] + penalties["r2"])
            return total, (logits, fixed, input_gradients, {"discriminator_loss": adversarial, **penalties})

        trained = self._of(values, discriminator.trainable_variables)
        (gradients, objective_gradient), (logits, fixed, input_gradients, figures) = jax.grad(
            objective, argnums=(0, 1), has_aux=True
        )(trained, seen)

        def mean_of(losses_by_name: dict[str, Any], fake_logits: Any) -> Any:
            return losses_by_name[pair](logits[:num], fake_logits).mean()

        generator_loss, wish = jax.value_and_grad(lambda fake: mean_of(losses.GENERATOR, fake))(logits[num:])
        if input_gradients is None:
            own = jax.grad(lambda fake: mean_of(losses.DISCRIMINATOR, fake))(logits[num:])
            factor, input_gradients = (
                jnp.where(own == 0, 0.0, wish / jnp.where(own == 0, 1.0, own)),
                objective_gradient,
            )
        else:
            factor = wish
        figures |= {
            "generator_loss": generator_loss,
            "real_logit": logits[:num].mean(),
            "fake_logit": logits[num:].mean(),
        }
        return factor[:, None, None, None] * input_gradients[num:], gradients, fixed, figures

    def _applied(self, values: Values, optimizer: Any, gradients: list[Any], model: keras.Model) -> Values:
        """Return the values after an update of `model`'s weights."""
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(gradient)) for gradient in gradients))
        scale = GRADIENT_NORM_LIMIT / jnp.maximum(norm, GRADIENT_NORM_LIMIT)
        variables = [*optimizer.variables, *model.trainable_variables]
        before = [(variable, values[self._names[id(variable)]]) for variable in variables]
        with keras.StatelessScope(state_mapping=before) as scope:
            optimizer.apply([gradient * scale for gradient in gradients], model.trainable_variables)
        return values | self._named_values(variables, [scope.get_current_value(v) for v in variables])

    def _of(self, values: Values, variables: list[Any]) -> list[Any]:
        return [values[self._names[id(variable)]] for variable in variables]

    def _named_values(self, variables: list[Any], arrays: list[Any]) -> Values:
        return {self._names[id(variable)]: value for variable, value in zip(variables, arrays, strict=True)}

    def see(self, latents: np.ndarray) -> None:
        """See `GanState.see`."""
        base_of(self.ema)(latents, training=True)

    def pictures_of(self, latents: np.ndarray) -> np.ndarray:
        """See `GanState.pictures_of`."""
        weights = self.ema.trainable_variables, self.ema.non_trainable_variables
        pictures = self._draw(*([v.value for v in part] for part in weights), latents.astype("float32"))
        return np.asarray(pictures)
