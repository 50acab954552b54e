using Neurodecode
using Test

const nd = Neurodecode

@testset "Neurodecode" begin
    x = randn(Float32, 30, 4, 12) # samples x channels x trials
    ids = ["c$(i)/$(i)" for i in 1:12]
    dataset = Dataset(x; image_ids=ids, rate=100.0, channels="O1 Oz O2 Pz")
    @test nd.data(dataset) == x
    @test nd.data(dataset, 3, 2) == x[:, :, 3:4]
    @test nd.channel(dataset, 2) == "Oz"
    @test nd.trial(dataset, 3).image == ids[3]
    @test info(dataset).n_trials == 12

    mktempdir() do folder
        table = joinpath(folder, "table.tsv")
        write(table, "label\trun\n" * join("$(isodd(i) ? "a" : "rest")\t$(1 + (i > 6))\n" for i in 1:12))
        labelled = nd.label(dataset, table; session=3)
        @test nd.trial(labelled, 8).run == 2
        @test nd.trial(labelled, 8).session == 3
        @test info(nd.select_labels(labelled; drop="rest")).n_trials == 6
        @test info(nd.average_blocks(nd.select_labels(labelled; keep="a"))).n_trials == 2
        @test info(nd.standardise(nd.detrend(labelled, 1); label="rest")).n_trials == 12
    end

    z = randn(Float32, 8, 12) # dim x images
    bank = Bank(z; image_ids=ids)
    @test nd.vectors(bank) == z
    retrieval = Retrieval(bank)
    @test search(retrieval, z, 1).indices == reshape(1:12, 1, 12)
    @test rank(retrieval, z, 1:12) == ones(Int, 12)
    @test metrics(ones(Int, 12), 12).top1 == 1.0

    @test_throws NeurodecodeError open(Dataset, joinpath(mktempdir(), "missing.npy"))
    @test_throws ArgumentError Dataset(x; no_such_option=1)

    mktempdir() do folder
        simulate(folder; n_concepts=20, images_per_concept=2, n_test=20, train_repetitions=2, test_repetitions=4,
                 n_channels=17, n_samples=100, embed_dim=16, snr=1.0)
        training = nd.open_things_eeg2(Dataset, folder, 1, "training"; normalise=1)
        test = nd.open_things_eeg2(Dataset, folder, 1, "test"; normalise=1)
        targets = nd.open_things_eeg2(Bank, folder, "all"; suffix="aligned")
        encoder = Encoder("nice", training; embed_dim=16)
        trainer = Trainer(encoder, Loss(), training, targets; epochs=2, batch_size=8)
        @test_throws NeurodecodeError run!(trainer; progress=now -> true)
        @test_throws ErrorException run!(trainer; progress=now -> error("stop"))
        @test run!(trainer).finished == 1
        ranks = rank_dataset(Retrieval(nd.select_for(targets, test)), encoder, test)
        @test length(ranks) == 20 && all(1 .<= ranks .<= 20)
        @test 0 <= top_k(ranks, 20, 5).value <= 1
        @test size(embed(encoder, nd.data(test))) == (16, 20)
        @test embed(encoder, nd.data(test); subjects=fill(1, 20)) == embed(encoder, nd.data(test))
        @test size(embed(nd.ensemble([encoder, encoder]; mode=:concatenate), nd.data(test))) == (32, 20)
        projector = Encoder("linear"; n_channels=16, n_samples=1, embed_dim=16)
        run!(Trainer(encoder, Loss(), training, targets; epochs=1, batch_size=8, projector=projector, augment="shift=2", optimiser=1))
        @test size(nd.vectors(embed(projector, targets))) == (16, 60)
        @test nd.encoder_params("linear")[1].name == "subjects" && nd.augmentations()[1].name == "shift"
        raw, stores = joinpath(folder, "raw"), joinpath(folder, "stores")
        simulate(raw; n_concepts=4, images_per_concept=2, n_test=3, test_repetitions=8, n_channels=17, embed_dim=8, n_sessions=4)
        preparation = Preparation("things-eeg2", raw, stores; params="channels=17 test_repetitions=2")
        run!(preparation)
        @test occursin("\"done\":true", nd.report(preparation)) && nd.preparation_params("things-eeg2")[1].name == "subject"
        @test info(open(Dataset, joinpath(stores, "sub-01_test.safetensors"))).n_trials == 24
        close(training)
        @test_throws ArgumentError info(training)
    end
end
