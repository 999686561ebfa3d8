"""Texts for the language model to continue, and sentences to be spoken."""

from __future__ import annotations

PARAGRAPHS = (
    "A heat pump moves heat instead of making it. A refrigerant evaporates at low pressure and "
    "takes up heat from the outside air, even when that air is cold. A compressor then raises its "
    "pressure and with it its temperature, so that the refrigerant condenses inside the house and "
    "gives its heat to the water of the radiators. For every unit of electricity that drives the "
    "compressor, three or four units of heat arrive in the rooms.",
    "In a database, an index is a second, sorted copy of a column together with the place of each "
    "row. Finding a value in a sorted tree takes a number of steps that grows with the logarithm "
    "of the number of rows, where a scan would read all of them. The price is paid on writing: "
    "every insert and every update has to change the index as well, so a table with ten indexes "
    "is slow to fill.",
    "Concrete is strong in compression and weak in tension. Steel bars are therefore laid where a "
    "beam is stretched, which is at its lower side in the middle of the span and at its upper "
    "side above a support. The two materials work well together because they expand by almost "
    "the same amount when they become warm, and because the alkaline concrete protects the steel "
    "from rust.",
    "The Kalman filter estimates the state of a system from measurements that are disturbed by "
    "noise. In the prediction step, a model of the motion tells where the state should be and how "
    "much less certain it has become. In the update step, the new measurement is compared with "
    "the prediction, and the difference is weighted by the Kalman gain. If the sensor is precise, "
    "the gain is large; if the model is good, it is small.",
    "When a packet is lost, TCP assumes that some queue on the way was full. The sender halves its "
    "congestion window and then increases it again by one segment for each round trip. This "
    "sawtooth shares a link fairly between several connections, but it needs a long time to fill "
    "a fast link with a long delay. Newer algorithms measure the bandwidth and the delay directly "
    "instead of waiting for losses.",
    "An aircraft wing produces lift because it turns the flow of air downwards. With a larger "
    "angle of attack the lift increases, until the flow can no longer follow the upper surface "
    "and separates from it. The wing then stalls: its lift falls and its drag rises sharply. "
    "Pilots recover by lowering the nose, which reduces the angle of attack and lets the flow "
    "attach again.",
    "Lithium-ion cells age in two ways. Calendar ageing goes on even when a cell is not used, and "
    "it is faster at high temperature and high charge. Cycle ageing comes from use: the electrodes "
    "expand and shrink, small cracks open, and lithium is bound in a growing layer on the anode. "
    "Keeping a battery between twenty and eighty percent, at a moderate temperature, makes it "
    "last much longer.",
    "The compiler first splits the source text into tokens, and the parser arranges these tokens "
    "in a tree. After the types have been checked, the tree is lowered to an intermediate form in "
    "which every variable is assigned exactly once. Most optimisations work on this form: dead "
    "code is removed, constants are folded, and expressions that do not change inside a loop are "
    "moved in front of it.",
)

SENTENCES = (
    "The train to the coast leaves at nine in the morning from platform four.",
    "Please close the window before you go, because it will rain in the afternoon.",
    "She bought a kilogram of apples, two loaves of bread and some yellow flowers.",
    "How many bridges cross the river between the old harbour and the airport?",
    "Nobody knew why the lights in the library were still on after midnight.",
)
