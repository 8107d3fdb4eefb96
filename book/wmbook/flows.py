"""Figures of data flow, all in one style: what goes in, through which networks, to what."""

from __future__ import annotations

from wmbook.drawing import Box, Flow

FLOWS = {
    "diamond": Flow(
        {
            "past": Box(0, 0, "last 4 frames\n[B, 4, C, H, W]", "real"),
            "noisy": Box(0, 1.15, "noisy next frame x\n[B, C, H, W]"),
            "cond": Box(0, 2.3, "actions, noise level\n[B, 4], [B]", "real"),
            "join": Box(1, 0.55, "joined by channels\nscaled by c_in"),
            "down": Box(2, 0.1, "U-Net down\nsmaller, wider", "net"),
            "mid": Box(2, 1.15, "middle", "net"),
            "up": Box(3, 0.1, "U-Net up\nwith skip links", "net"),
            "film": Box(1, 2.3, "embedding → scale\nand shift of norms", "net"),
            "mix": Box(4, 0.1, "c_skip x + c_out F\nestimate D"),
            "step": Box(4, 1.15, "Euler step to the\nnext noise level"),
            "out": Box(4, 2.3, "next frame", "dream"),
        },
        (
            ("past", "join", ""),
            ("noisy", "join", ""),
            ("join", "down", ""),
            ("down", "mid", ""),
            ("mid", "up", ""),
            ("down", "up", ""),
            ("cond", "film", ""),
            ("film", "mid", ""),
            ("up", "mix", ""),
            ("mix", "step", ""),
            ("step", "out", "at σ = 0"),
        ),
        "Past frames and the noisy next frame are joined by channels and go down and up a U-Net. "
        "Actions and the "
        "noise level become a scale and shift of every normalization. The output is mixed with "
        "the input to "
        "the estimate of the clean frame; an Euler step lowers the noise, and this repeats until "
        "the noise is zero.",
        "DIAMOND's denoiser: the past enters as channels, the action through the norms.",
    ),
    "unisim": Flow(
        {
            "frames": Box(0, 0, "past frames\n[B, t, C, H, W]", "real"),
            "enc": Box(1, 0, "autoencoder's\nencoder", "net"),
            "past": Box(2, 0, "past latents\n[B, t, c, h, w]"),
            "words": Box(0, 1.15, "a sentence", "real"),
            "motion": Box(0, 1.9, "or a motion, and\nwhich numbers count", "real"),
            "key": Box(0, 2.65, "or a key", "real"),
            "domain": Box(1, 2.65, "which world it is"),
            "actions": Box(1, 1.55, "encoder of actions\nin any form", "net"),
            "vector": Box(2, 1.55, "one vector a frame\n[B, t + 1, D]"),
            "video": Box(3, 0.8, "video transformer,\ncausal in time", "net"),
            "noise": Box(3, 2.0, "noise [B, c, h, w]"),
            "next": Box(4, 0.8, "next latent\n[B, c, h, w]", "dream"),
            "dec": Box(5, 0, "autoencoder's\ndecoder", "net"),
            "out": Box(5, -1.15, "next frame", "dream"),
            "task": Box(4, 2.2, "a task: sentence\nor picture", "real"),
            "steps": Box(5, 1.6, "steps to go", "net"),
        },
        (
            ("frames", "enc", ""),
            ("enc", "past", ""),
            ("past", "video", ""),
            ("words", "actions", ""),
            ("motion", "actions", ""),
            ("key", "actions", ""),
            ("domain", "actions", ""),
            ("actions", "vector", ""),
            ("vector", "video", ""),
            ("noise", "video", ""),
            ("video", "next", "K steps"),
            ("next", "dec", ""),
            ("dec", "out", ""),
            ("next", "steps", ""),
            ("task", "steps", ""),
        ),
        "Past frames become latents in an autoencoder's encoder. A sentence, a motion with a mask "
        "of the numbers that count, or a key goes through one encoder of actions, with the number "
        "of the world, and becomes one vector for each frame. A video transformer, causal in time, "
        "reads the past latents, these vectors and noise, and draws the next latent in a few "
        "steps. The decoder shows it as a frame; another network reads off it how many steps are "
        "left to a task, which is a sentence or a picture. The latent joins the past.",
        "UniSim: whatever its form, an action becomes one vector; so one network is three worlds.",
    ),
    "sora": Flow(
        {
            "text": Box(0, 0, "sentence", "real"),
            "words": Box(1, 0, "word encoder", "net"),
            "first": Box(0, 2.3, "first frames,\nwhere given", "real"),
            "enc": Box(1, 2.3, "autoencoder\nencoder", "net"),
            "noisy": Box(1, 1.15, "noisy latents of all\nframes, as patches"),
            "net": Box(2, 1.15, "space, time, words,\nMLP, in turn", "net"),
            "level": Box(2, 2.3, "a noise level\nfor each frame"),
            "clean": Box(3, 1.15, "estimate of the\nclean latents"),
            "dec": Box(3, 2.3, "autoencoder\ndecoder", "net"),
            "out": Box(4, 2.3, "16 frames", "dream"),
        },
        (
            ("text", "words", ""),
            ("words", "net", ""),
            ("first", "enc", ""),
            ("enc", "noisy", "level 0"),
            ("noisy", "net", ""),
            ("level", "net", ""),
            ("net", "clean", "Euler steps"),
            ("clean", "dec", ""),
            ("dec", "out", ""),
        ),
        "A sentence becomes vectors in a word encoder. The latents of all frames start as noise "
        "and are cut into patches; frames that are given come from the autoencoder's encoder and "
        "have the noise level 0. A transformer that attends in space, in time and to the words, "
        "and is told a noise level for each frame, estimates the clean latents. After some Euler "
        "steps the decoder draws all 16 frames.",
        "Sora: all frames are drawn together; a given frame is one whose noise level is 0.",
    ),
    "gamengen": Flow(
        {
            "frames": Box(0, 0, "past frames\n[B, n, C, H, W]", "real"),
            "enc": Box(1, 0, "autoencoder's\nencoder", "net"),
            "past": Box(2, 0, "past latents\n[B, n, c, h, w]"),
            "aug": Box(3, 0, "in training: noise\nof a told strength"),
            "noisy": Box(2, 1.15, "noisy next latent\n[B, c, h, w]"),
            "join": Box(3, 1.15, "joined by channels"),
            "actions": Box(2, 2.3, "past actions and\nthe one taken now", "real"),
            "tokens": Box(3, 2.3, "tokens, for the\ncross-attention", "net"),
            "level": Box(4, 2.3, "timestep, and the\nstrength on the past", "net"),
            "unet": Box(4, 1.15, "Stable Diffusion's\nU-Net: predicts v", "net"),
            "next": Box(5, 1.15, "next latent\n[B, c, h, w]", "dream"),
            "dec": Box(5, 0, "autoencoder's\ndecoder", "net"),
            "out": Box(5, -1.15, "next frame", "dream"),
            "head": Box(5, 2.3, "reward, end\n(ours)", "net"),
        },
        (
            ("frames", "enc", ""),
            ("enc", "past", ""),
            ("past", "aug", ""),
            ("aug", "join", ""),
            ("noisy", "join", ""),
            ("join", "unet", ""),
            ("actions", "tokens", ""),
            ("tokens", "unet", ""),
            ("level", "unet", ""),
            ("unet", "next", "DDIM"),
            ("next", "dec", ""),
            ("dec", "out", ""),
            ("next", "head", ""),
        ),
        "Past frames become latents in an autoencoder's encoder. In training, noise of a random "
        "strength is added to them. They are joined by channels with the noisy next latent and go "
        "through Stable Diffusion's U-Net, which predicts v. The actions are the tokens that its "
        "cross-attention reads; it is also told the diffusion timestep and the strength of the "
        "noise on the past. A few DDIM steps give the next latent: the decoder draws its frame, "
        "and a head of ours reads off its reward and whether the episode ends. The latent, not "
        "the frame, then joins the past.",
        "GameNGen: the past enters as channels, the actions as tokens; noise on the past in "
        "training makes long dreams last, and at play the drawn latent is the newest of the past.",
    ),
    "cosmos": Flow(
        {
            "video": Box(0, 0, "frames so far\n[B, 1 + 4n, C, H, W]", "real"),
            "enc": Box(1, 0, "causal tokenizer's\nencoder", "net"),
            "known": Box(2, 0, "latents, a little noise\n[B, n, c, h, w]"),
            "noisy": Box(2, 1.15, "noise, to be cleaned\n[B, 1, c, h, w]"),
            "acts": Box(1, 2.3, "4 actions a latent\n[B, n + 1, 12]", "real"),
            "mlp": Box(2, 2.3, "actions' MLP, and each\nlatent's noise level", "net"),
            "net": Box(3, 1.15, "video transformer\nspace, time, adaLN", "net"),
            "next": Box(4, 1.15, "next latent", "dream"),
            "dec": Box(4, 0, "decoder, going on\nwhere it was", "net"),
            "out": Box(5, 0, "4 frames", "dream"),
        },
        (
            ("video", "enc", ""),
            ("enc", "known", ""),
            ("known", "net", ""),
            ("noisy", "net", ""),
            ("acts", "mlp", ""),
            ("mlp", "net", ""),
            ("net", "next", "EDM steps"),
            ("next", "dec", ""),
            ("dec", "out", ""),
        ),
        "The causal tokenizer's encoder turns the frames so far into latents, one for the first "
        "frame and one for every four after it. A little noise is added to these, and the latent "
        "that comes next starts as noise. A transformer over space and time sees both, and is told "
        "each latent's noise level and the four actions that lead to it. A few steps clean the new "
        "latent; the decoder, which remembers where it was, draws its four frames.",
        "Cosmos, the diffusion family: what is known and what is drawn stand in one sequence.",
    ),
    "cosmos-ar": Flow(
        {
            "video": Box(0, 0, "frames so far\n[B, 1 + 4n, C, H, W]", "real"),
            "enc": Box(1, 0, "causal tokenizer's\nencoder", "net"),
            "fsq": Box(2, 0, "FSQ: one of 1,000\n[B, n, h, w]"),
            "tokens": Box(3, 0, "tokens in a row,\nframe by frame"),
            "acts": Box(2, 1.15, "actions that lead\nto each latent frame", "real"),
            "gpt": Box(3, 1.15, "transformer: causal,\nrotary in t, y, x", "net"),
            "pick": Box(4, 1.15, "one token drawn,\nand put behind"),
            "dec": Box(4, 0, "decoder, going on\nwhere it was", "net"),
            "out": Box(5, 0, "4 frames", "dream"),
        },
        (
            ("video", "enc", ""),
            ("enc", "fsq", ""),
            ("fsq", "tokens", ""),
            ("tokens", "gpt", ""),
            ("acts", "gpt", ""),
            ("gpt", "pick", "h w times"),
            ("pick", "dec", ""),
            ("dec", "out", ""),
        ),
        "The same tokenizer rounds its latents to one of 1,000 codes. Read frame by frame and row "
        "by row they are a sentence; a causal transformer with rotary positions in time, height "
        "and width says the next token, which is put behind the others, until a latent frame is "
        "full. The decoder draws its four frames.",
        "Cosmos, the autoregressive family: a video as a language.",
    ),
    "genie": Flow(
        {
            "frames": Box(0, 0.9, "frames 1 … t+1\n[B, T, C, H, W]", "real"),
            "lam": Box(1, 0, "latent action model\nST transformer", "net"),
            "code": Box(2, 0, "one of 8 codes\n[B, T−1]"),
            "tok": Box(1, 1.8, "tokenizer\nST VQ encoder", "net"),
            "tokens": Box(2, 1.8, "64 tokens a frame\n[B, T, 64]"),
            "mask": Box(3, 1.8, "next frame's tokens\nmasked"),
            "dyn": Box(3, 0.55, "dynamics\nST transformer", "net"),
            "pick": Box(4, 0.55, "keep the surest,\nask again"),
            "dec": Box(4, 1.8, "decoder", "net"),
            "out": Box(5, 1.8, "next frame", "dream"),
        },
        (
            ("frames", "lam", ""),
            ("frames", "tok", ""),
            ("lam", "code", ""),
            ("tok", "tokens", ""),
            ("tokens", "mask", ""),
            ("mask", "dyn", ""),
            ("code", "dyn", ""),
            ("dyn", "pick", ""),
            ("pick", "dec", "all filled"),
            ("dec", "out", ""),
        ),
        "Frames go two ways. The latent action model gives one of eight codes for each step. The "
        "tokenizer gives 64 "
        "tokens a frame. The dynamics model gets past tokens, the code and masked tokens of the "
        "next frame, and fills "
        "them in over a few passes, the surest first; the decoder draws the frame.",
        "Genie: at play, the code comes from the player, and the latent action model is not used.",
    ),
    "vjepa": Flow(
        {
            "clip": Box(0, 0.9, "clip as tubelets\n[B, N, D]", "real"),
            "seen": Box(1, 0, "visible tubelets x"),
            "enc": Box(2, 0, "encoder E_θ\nViT", "net"),
            "feat": Box(3, 0, "features of\nwhat is seen"),
            "pred": Box(4, 0, "predictor P_φ", "net"),
            "where": Box(3, 0.95, "mask tokens Δ_y:\nwhere to look"),
            "guess": Box(5, 0, "guessed features", "dream"),
            "all": Box(1, 1.9, "the whole clip y", "real"),
            "slow": Box(2, 1.9, "slow encoder E_θ̄\nno gradient", "net"),
            "goal": Box(5, 1.9, "target features", "real"),
            "loss": Box(5, 0.95, "L1 where hidden"),
        },
        (
            ("clip", "seen", ""),
            ("clip", "all", ""),
            ("seen", "enc", ""),
            ("enc", "feat", ""),
            ("feat", "pred", ""),
            ("where", "pred", ""),
            ("pred", "guess", ""),
            ("all", "slow", ""),
            ("enc", "slow", "moving average"),
            ("slow", "goal", ""),
            ("guess", "loss", ""),
            ("goal", "loss", ""),
        ),
        "A clip is cut into tubelets. The visible ones go through the encoder; from their "
        "features and mask tokens "
        "the predictor guesses the features of the hidden ones. The target comes from a slow copy "
        "of the encoder "
        "that sees the whole clip and gets no gradient. The loss is the L1 distance at the hidden "
        "places.",
        "V-JEPA: nothing is ever drawn; both sides of the loss are features.",
    ),
    "vjepa2-ac": Flow(
        {
            "frame": Box(0, 0, "frame t", "real"),
            "enc": Box(1, 0, "V-JEPA encoder\nfrozen", "net"),
            "z": Box(2, 0, "16 patch features z_t"),
            "act": Box(0, 1, "action a_t, arm's\nstate s_t", "real"),
            "emb": Box(1, 1, "two linear layers", "net"),
            "seq": Box(2, 1.05, "a₀ s₀ z₀ | a₁ s₁ z₁ | …\none sequence"),
            "pred": Box(3, 1.05, "predictor\nblock-causal", "net"),
            "next": Box(4, 1.05, "features of\nframe t+1", "dream"),
            "goal": Box(4, 0, "features of the\ngoal picture", "real"),
            "energy": Box(5, 0.5, "energy: L1\nto the goal"),
            "cem": Box(5, 1.75, "cross-entropy search\nover actions"),
        },
        (
            ("frame", "enc", ""),
            ("enc", "z", ""),
            ("act", "emb", ""),
            ("emb", "seq", ""),
            ("z", "seq", ""),
            ("seq", "pred", ""),
            ("pred", "next", ""),
            ("next", "energy", ""),
            ("goal", "energy", ""),
            ("energy", "cem", ""),
        ),
        "The frozen encoder turns a frame into 16 patch features. Action and state of the arm "
        "become one token each. "
        "For every time step the sequence holds the action, the state and the patch features; a "
        "token sees its own step "
        "and all earlier ones. The predictor gives the features of the next frame, whose L1 "
        "distance to the features of "
        "the goal is the energy that the cross-entropy search lowers.",
        "V-JEPA 2-AC: what enters the predictor, and how it is used to plan.",
    ),
}
